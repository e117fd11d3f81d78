// The workers give the mails to the SMTP server. A mail is offered to it before it
// is put on record as being sent, so that a server that is away, or refuses it,
// leaves no doubt.

import { reason } from './log.js'
import { render } from './render.js'
import { Connection } from './smtp.js'

const idle = 2000 // milliseconds that a connection waits for another mail

/** work sends one mail after the other until the signal; then what is under way is cut off. */
export async function work ({ desk, smtp, log, metrics, signal }) {
  let c = null
  const cut = () => c?.cut()
  signal.addEventListener('abort', cut)
  while (!signal.aborted) {
    const a = await desk.next(idle, signal)
    if (a === null) {
      c?.quit()
      c = null
      continue
    }
    if (c && !(await c.usable())) {
      c.cut()
      c = null
    }
    if (!c) {
      try {
        c = await Connection.open(smtp)
      } catch (error) {
        metrics.connectFailures++
        metrics.up = 0
        if (desk.giveBack(a) && !signal.aborted) log.warn('no connection to the SMTP server; the mails wait', { host: smtp.host, port: smtp.port, error })
        continue
      }
      metrics.up = 1
      if (desk.connected()) log.info('the SMTP server is there again', { host: smtp.host, port: smtp.port })
    }
    const result = await send(c, smtp, desk, a)
    if (!result?.again) {
      c.cut()
      c = null
    }
  }
  signal.removeEventListener('abort', cut)
  c?.cut()
}

/** send takes a mail through its steps; null: it was left, and the connection is cut. */
async function send (c, smtp, desk, a) {
  let broken = null // why there is no mail to send
  const result = await c.send(smtp.from.address, a.to, async () => {
    const letter = await desk.claim(a)
    if (letter === null) return null
    try {
      return await render(letter, smtp.from)
    } catch (error) {
      broken = { kind: 'rejected', reason: 'the mail can\'t be made: ' + reason(error) }
      return null
    }
  })
  if (broken) desk.finish(a, broken)
  else if (result) desk.finish(a, result.outcome)
  return result
}
