// Asks the sidecar beside this program: a ksqlDB, by its REST API. Any language
// can do this; nothing but fetch is needed.

import { parse } from './json.js'

/** literal writes a text as SQL. */
export const literal = text => `'${text.replaceAll("'", "''")}'`

export class Sidecar {
  constructor (url) { this.url = url }

  /** pull runs a pull query: its rows, as objects by the columns' names in lower case. Numbers are Digits. */
  async pull (sql) {
    const response = await fetch(this.url + '/query-stream', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/vnd.ksqlapi.delimited.v1' },
      body: JSON.stringify({ sql }),
      signal: AbortSignal.timeout(5000)
    })
    const body = await response.text()
    if (!response.ok) throw new Error(`${this.url} answers ${response.status}: ${body.slice(0, 500)}`)
    const lines = body.split('\n').filter(l => l.trim() !== '')
    const header = JSON.parse(lines[0] ?? '{}')
    if (!header.columnNames) throw new Error(`${this.url}: no columns in ${lines[0]}`)
    const names = header.columnNames.map(n => n.toLowerCase())
    return lines.slice(1).map(l => {
      if (!l.startsWith('[')) throw new Error(`${this.url}: ${l.slice(0, 500)}`)
      return Object.fromEntries(parse(`{"row":${l}}`).row.map((v, i) => [names[i], v]))
    })
  }
}
