// Talks to the SMTP server, step by step, so that it is known of each failure
// whether the server can have taken the mail.

import { PassThrough } from 'node:stream'
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js'

/** Connection is one to the server, ready for a mail; a worker has it to itself. */
export class Connection {
  #smtp
  #timeout

  /** open connects, encrypts and logs in, within the timeout. */
  static async open (s) {
    const c = new Connection()
    c.#timeout = s.timeout
    c.#smtp = new SMTPConnection({
      host: s.host, port: s.port, name: s.helo,
      secure: s.security === 'tls', requireTLS: s.security === 'starttls', ignoreTLS: s.security === 'none',
      tls: { servername: /^[\d.]+$|:/.test(s.host) ? undefined : s.host, ca: s.ca, minVersion: 'TLSv1.2' },
      connectionTimeout: s.timeout, greetingTimeout: s.timeout, socketTimeout: s.timeout, dnsTimeout: s.timeout
    })
    c.#smtp.on('error', () => {}) // each step hears of it by itself
    try {
      await c.#step(done => c.#smtp.connect(done))
      if (s.user) {
        if (!c.#smtp.secure) throw new Error('the connection is not encrypted, and a password must not go over it: set SMTP_TLS')
        await c.#step(done => c.#smtp.login({ user: s.user, pass: s.password }, done))
      }
    } catch (error) {
      c.cut()
      throw error
    }
    return c
  }

  /** step runs one step, which also ends with the connection or after the timeout. */
  #step (run) {
    return new Promise((resolve, reject) => {
      const end = (error, value) => {
        clearTimeout(late)
        this.#smtp.removeListener('error', fail)
        this.#smtp.removeListener('end', gone)
        error ? reject(error) : resolve(value)
      }
      const fail = error => end(error)
      const gone = () => end(new Error('the connection is closed'))
      const late = setTimeout(() => end(new Error(`no answer within ${this.#timeout} ms`)), this.#timeout)
      this.#smtp.once('error', fail)
      this.#smtp.once('end', gone)
      run(end)
    })
  }

  /** usable asks the server whether it is still there. */
  async usable () {
    try {
      await this.#step(done => this.#smtp.reset(done))
      return true
    } catch {
      return false
    }
  }

  /** cut ends the connection without a word. */
  cut () { this.#smtp.close() }

  quit () { this.#smtp.quit() }

  /**
   * send offers the server a mail, and calls text when it waits for the mail's
   * text: a promise of a Buffer, or of null to leave it. The answer is null then,
   * else {outcome: {kind, reason}, again}: kind is delivered, rejected (5xx),
   * failed (surely not taken) or unknown, again whether the connection is of use.
   */
  async send (from, to, text) {
    let begun = false // the server may have the mail's end, since a small one goes out in one piece
    let left = false
    const message = {
      on () {},
      pipe: dest => {
        if (dest instanceof PassThrough) return dest.end() // it was refused; nodemailer only empties the stream
        text().then(buffer => {
          if (buffer !== null) {
            begun = true
            dest.end(buffer)
            return
          }
          left = true
          this.cut()
        }, () => this.cut())
      }
    }
    try {
      await this.#step(done => this.#smtp.send({ from, to: [to], use8BitMime: false }, message, done))
      return { outcome: { kind: 'delivered', reason: '' }, again: true }
    } catch (error) {
      if (left) return null
      return classify(error, begun)
    }
  }
}

/**
 * classify tells what an error means for the mail: before the text nothing is
 * taken, and an answer is an answer. A sender that is refused is the shop's
 * trouble and not that of the mail, so it is tried again.
 */
export function classify (error, begun) {
  const code = error.responseCode ?? 0
  const answered = code >= 400
  const reason = `${error.command ?? 'SMTP'}: ${error.response ?? error.message}`
  if (begun && !answered) return { outcome: { kind: 'unknown', reason: `no answer to the mail (${reason})` }, again: false }
  const final = code >= 500 && (error.command === 'RCPT TO' || error.command === 'DATA')
  return { outcome: { kind: final ? 'rejected' : 'failed', reason }, again: answered && code !== 421 }
}
