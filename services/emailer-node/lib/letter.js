// One order's mail: the row that it is made of, the record of it on emails-sent,
// and what becomes of it. services/email/README.md says what the states mean; the
// Go program writes and reads the same records.

import { createHash } from 'node:crypto'
import { Digits, fields, parse, stringify } from './json.js'

export const waits = status => status === 'HELD' || status === 'REFUSED' || status === 'NO_ADDRESS'
export const open = status => status === 'QUEUED' || status === 'SENDING'

const text = (f, name) => {
  const v = f[name.toLowerCase()]
  if (v === undefined || v === null) return ''
  if (typeof v !== 'string') throw new Error(`${name}: must be text`)
  return v
}

const whole = (f, name, bits) => {
  const v = f[name.toLowerCase()]
  if (v === undefined || v === null) return new Digits('0')
  if (!(v instanceof Digits) || !/^-?\d+$/.test(v.text)) throw new Error(`${name}: must be a whole number`)
  if (BigInt.asIntN(bits, BigInt(v.text)) !== BigInt(v.text)) throw new Error(`${name}: doesn't fit in ${bits} bits`)
  return v
}

/** money reads an amount exactly, and writes it with two decimals. */
const money = (f, name) => {
  const v = f[name.toLowerCase()]
  if (v === undefined || v === null) return new Digits('0.00')
  const m = v instanceof Digits && /^(-?)(\d{1,10})(?:\.(\d{1,2})0*)?$/.exec(v.text)
  if (!m) throw new Error(`${name}: must be a number with at most ten digits before the point and two behind it`)
  return new Digits(`${m[1]}${BigInt(m[2])}.${(m[3] ?? '').padEnd(2, '0')}`)
}

/** readRow reads a record of order-emails, or the row in a letter. Digits are numbers. */
export function readRow (object) {
  const f = fields(object)
  return {
    customerId: whole(f, 'customerId', 64),
    product: text(f, 'product'),
    quantity: whole(f, 'quantity', 32),
    price: money(f, 'price'),
    paymentId: text(f, 'paymentId'),
    amount: money(f, 'amount'),
    ccy: text(f, 'ccy'),
    firstName: text(f, 'firstName'),
    lastName: text(f, 'lastName'),
    email: text(f, 'email'),
    level: text(f, 'level'),
    kind: text(f, 'kind')
  }
}

/** decodeRow reads a row that a mail can be made of. */
export function decodeRow (value) {
  const row = readRow(parse(value))
  if (row.product === '') throw new Error('the row has no product')
  if (row.paymentId === '') throw new Error('the row has no paymentId')
  if (BigInt(row.quantity.text) <= 0n) throw new Error(`the row's quantity is ${row.quantity.text}`)
  return row
}

/** address reads a customer's address: one address, without a name. */
export function address (value) {
  const a = value.trim()
  if (a === '') throw new Error('the customer has no address')
  if (a.length > 254 || !/^[^\s@"(),:;<>[\]\\\p{Cc}]{1,64}@[^\s@"(),:;<>[\]\\\p{Cc}]+$/u.test(a) || /^\.|\.\.|\.@|@\.|\.$/.test(a)) {
    throw new Error(`${JSON.stringify(a)} isn't an e-mail address`)
  }
  return a
}

/** messageID is the same for an order at each attempt and in each program. */
export function messageID (orderId, domain) {
  return `order-${createHash('sha256').update('order-mail/' + orderId).digest('hex').slice(0, 24)}@${domain}`
}

/** Policy says what is done about mails that don't get through. */
export class Policy {
  constructor ({ resend, retryMin, retryMax, retryFor }) {
    Object.assign(this, { resend, retryMin, retryMax, retryFor }) // milliseconds
  }

  /** pause is the time before the attempt that follows the given number of them. */
  pause (attempts) {
    return Math.min(this.retryMax, this.retryMin * 2 ** Math.min(30, Math.max(0, attempts - 1)))
  }
}

/** Letter is one order's mail. Times are milliseconds since 1970. */
export class Letter {
  static of (orderId, row, domain, now) {
    const l = new Letter()
    Object.assign(l, {
      orderId, level: row.level, kind: row.kind, messageId: messageID(orderId, domain),
      attempts: 0, createdAt: now, sentAt: null, retryAt: 0, attempt: '', row
    })
    l.findAddress()
    return l
  }

  static decode (value) {
    const f = fields(parse(value))
    const number = name => Number(f[name]?.text ?? 0)
    const l = new Letter()
    Object.assign(l, {
      status: text(f, 'status'), orderId: text(f, 'orderId'), to: text(f, 'to'), level: text(f, 'level'), kind: text(f, 'kind'),
      reason: text(f, 'reason'), messageId: text(f, 'messageId'), attempts: number('attempts'), createdAt: number('createdat'),
      sentAt: f.sentat ? Number(f.sentat.text) : null, retryAt: number('retryat'), attempt: text(f, 'attempt'),
      row: f.row ? readRow(f.row) : undefined
    })
    if (!l.row && (open(l.status) || waits(l.status))) throw new Error(`it is ${l.status}, but what the mail is made of is missing`)
    return l
  }

  encode () {
    return stringify({
      status: this.status, orderId: this.orderId, to: this.to, level: this.level, kind: this.kind, reason: this.reason,
      messageId: this.messageId, attempts: this.attempts, createdAt: this.createdAt, sentAt: this.sentAt,
      retryAt: this.retryAt || undefined, attempt: this.attempt || undefined, row: this.row
    })
  }

  copy () { return Object.assign(new Letter(), this) }

  /** findAddress takes the address over from the row, or says why there is none. */
  findAddress () {
    try {
      this.to = address(this.row.email)
      this.status = 'QUEUED'
      this.reason = ''
    } catch (error) {
      this.to = ''
      this.status = 'NO_ADDRESS'
      this.reason = error.message
    }
  }

  /** settle writes the end of an attempt: {kind, reason}, as smtp.js makes it. */
  settle (outcome, policy, now) {
    this.attempt = ''
    this.retryAt = 0
    switch (outcome.kind) {
      case 'delivered':
        Object.assign(this, { status: 'SENT', reason: '', sentAt: now, row: undefined })
        break
      case 'rejected':
        Object.assign(this, { status: 'REFUSED', reason: outcome.reason })
        break
      case 'not-started':
        this.status = 'QUEUED'
        this.attempts--
        break
      case 'unknown':
        this.doubt(outcome.reason, policy, now)
        break
      default:
        this.retry(outcome.reason, policy, now)
    }
  }

  /** doubt is for a mail of which nobody knows whether it was taken. */
  doubt (reason, policy, now) {
    this.attempt = ''
    if (policy.resend) return this.retry(reason, policy, now)
    this.status = 'HELD'
    this.reason = reason + '; it may have been delivered, look for its Message-ID before you send it'
  }

  retry (reason, policy, now) {
    this.reason = reason
    if (now - this.createdAt > policy.retryFor) {
      this.status = 'HELD'
      this.reason = `not sent within ${policy.retryFor} ms; last: ${reason}`
      return
    }
    this.status = 'QUEUED'
    this.retryAt = now + policy.pause(this.attempts)
  }
}
