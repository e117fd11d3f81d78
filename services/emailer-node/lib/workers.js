// The workers give the mails to the SMTP server. A connection is made before the
// mail is put on record as being sent, so that a server that is away leaves no
// doubt.

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
    const letter = await desk.claim(a)
    if (letter === null) continue
    const { outcome, again } = await send(c, smtp, letter)
    desk.finish(a, outcome)
    if (!again) {
      c.cut()
      c = null
    }
  }
  signal.removeEventListener('abort', cut)
  c?.cut()
}

async function send (c, smtp, letter) {
  let message
  try {
    message = await render(letter, smtp.from)
  } catch (error) {
    return { outcome: { kind: 'rejected', reason: 'the mail can\'t be made: ' + reason(error) }, again: true }
  }
  return await c.send(smtp.from.address, letter.to, message)
}
