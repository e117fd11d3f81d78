// The figures of GET /admin/stats and the mails of GET /admin/held, from the SQL
// tables of ksql/email/06-stats.sql.

import { escape, html } from './render.js'
import { literal } from './sql.js'

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

export async function stats (sidecar, hours, now = Date.now()) {
  const hour = 3_600_000
  const from = Math.floor((now - (hours - 1) * hour) / hour) * hour
  const levels = (await sidecar.pull('SELECT level, sent FROM emails_by_level;'))
    .map(r => ({ level: r.level, sent: Number(r.sent.text) })).sort((a, b) => byText(a.level, b.level))
  const perHour = (await sidecar.pull(`SELECT level, WINDOWSTART, sent FROM emails_by_hour WHERE WINDOWSTART >= ${from};`))
    .map(r => ({ hour: new Date(Number(r.windowstart.text)).toISOString().replace('.000Z', 'Z'), level: r.level, sent: Number(r.sent.text) }))
    .sort((a, b) => byText(a.hour, b.hour) || byText(a.level, b.level))
  const statuses = Object.fromEntries((await sidecar.pull('SELECT status, emails FROM emails_by_status;'))
    .map(r => [r.status, Number(r.emails.text)]).filter(([, n]) => n > 0).sort((a, b) => byText(a[0], b[0])))
  return { total: levels.reduce((n, l) => n + l.sent, 0), levels, hours: perHour, statuses }
}

const columns = 'SELECT orderId, `TO`, level, kind, status, reason, messageId, attempts, createdAt FROM emails_view'

const mail = r => ({
  orderId: r.orderid, to: r.to ?? '', level: r.level ?? '', kind: r.kind ?? '', status: r.status, reason: r.reason ?? '',
  messageId: r.messageid ?? '', attempts: Number(r.attempts?.text ?? 0), since: new Date(Number(r.createdat?.text ?? 0)).toISOString()
})

/** held are the mails that wait for an operator, the oldest first. */
export async function held (sidecar) {
  const rows = await sidecar.pull(columns + " WHERE status = 'HELD' OR status = 'REFUSED' OR status = 'NO_ADDRESS';")
  return rows.map(mail).sort((a, b) => byText(a.since, b.since) || byText(a.orderId, b.orderId))
}

/** one is the mail of an order in any status, or undefined. */
export async function one (sidecar, orderId) {
  const [r] = await sidecar.pull(`${columns} WHERE orderId = ${literal(orderId)};`)
  return r && mail(r)
}

const height = 160
const column = 28
const colors = { platinum: '#7b8ba3', gold: '#c9971c', silver: '#9aa1a8', bronze: '#a8672f' }

function chart (s) {
  const totals = new Map()
  for (const h of s.hours) totals.set(h.hour, (totals.get(h.hour) ?? 0) + h.sent)
  const top = Math.max(1, ...totals.values())
  const xs = [...totals.keys()]
  const below = new Map()
  const bars = s.hours.map(h => {
    const tall = Math.floor(h.sent * height / top)
    below.set(h.hour, (below.get(h.hour) ?? 0) + tall)
    return html`<rect x="${xs.indexOf(h.hour) * column + 2}" y="${height - below.get(h.hour)}" width="${column - 4}" height="${tall}" fill="${colors[h.level] ?? '#4f7f6b'}"><title>${h.hour} ${h.level}: ${h.sent}</title></rect>\n`
  })
  const width = xs.length * column
  return `<figure><svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Mails sent per hour, by customer level; the table below has the figures">\n${bars.join('')}</svg>
<figcaption>${s.levels.map(l => html`<span class="key" style="background:${colors[l.level] ?? '#4f7f6b'}"></span>${l.level}`).join('')}</figcaption></figure>`
}

function table (names, rows) {
  return `<table><thead><tr>${names.map(n => `<th scope="col">${escape(n)}</th>`).join('')}</tr></thead>
<tbody>${rows.map(r => '<tr>' + r.map(v => `<td>${escape(v)}</td>`).join('') + '</tr>').join('\n')}</tbody></table>`
}

/** page shows the figures to people, without a script. */
export function page (s, waiting) {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mails</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid #8884 }
figure { margin: 1rem 0; overflow-x: auto }
svg { border-bottom: 1px solid #8888 }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .4rem 0 1rem; border-radius: 2px }
</style>
</head>
<body>
<h1>Mails</h1>
<p>${s.total} sent.</p>
<h2>Sent per hour</h2>
${s.hours.length ? chart(s) + table(['Hour', 'Level', 'Sent'], s.hours.map(h => [h.hour, h.level, h.sent])) : '<p>None in this time.</p>'}
<h2>Sent per level</h2>
${table(['Level', 'Sent'], s.levels.map(l => [l.level, l.sent]))}
<h2>All mails now</h2>
${table(['Status', 'Mails'], Object.entries(s.statuses))}
${waiting.length ? '<h2>Waiting for an operator</h2>\n<p>Decide with <code>POST /admin/held/{order}/send</code> or <code>/drop</code>.</p>\n' + table(['Order', 'To', 'Status', 'Why'], waiting.map(h => [h.orderId, h.to, h.status, h.reason])) : ''}
</body>
</html>
`
}
