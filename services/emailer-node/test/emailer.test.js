import assert from 'node:assert/strict'
import { test } from 'node:test'
import { committed } from '../lib/committed.js'
import { Desk } from '../lib/desk.js'
import { Digits, parse, stringify } from '../lib/json.js'
import { Letter, Policy, address, decodeRow, messageID } from '../lib/letter.js'
import { html, line, render } from '../lib/render.js'
import { duration, readSettings } from '../lib/settings.js'
import { classify } from '../lib/smtp.js'

const rowText = '{"CUSTOMERID":9223372036854775807,"PRODUCT":"UNDERPANTS","QUANTITY":3,"PRICE":5.00,"PAYMENTID":"Payment:1234","AMOUNT":1000.5,"CCY":"CZK","FIRSTNAME":"Franz","LASTNAME":"Kafka","EMAIL":"franz@example.com","LEVEL":"gold","KIND":"order"}'
const letter = () => Letter.of('o-1', decodeRow(rowText), 'example.com', 1_700_000_000_000)

// The broker's batches, as far as committed looks at them.
const batch = (firstOffset, producerId, { control = false, transactional = true, records = 1 } = {}) => ({
  firstOffset: BigInt(firstOffset),
  lastOffsetDelta: records - 1,
  attributes: (transactional ? 1 << 4 : 0) | (control ? 1 << 5 : 0),
  producerId: BigInt(producerId),
  firstTimestamp: 0n,
  records: Array.from({ length: records }, (_, i) => ({ offsetDelta: i, timestampDelta: 0n, key: null, value: Buffer.from(`${firstOffset + i}`) }))
})

test('of aborted transactions nothing is read', () => {
  const offsets = r => r.records.map(x => Number(x.offset))
  // Producer 1 aborts, commits, and aborts again, all in one response.
  const batches = [
    batch(0, 1, { records: 2 }), batch(2, 1, { control: true }),
    batch(3, 1), batch(4, 2), batch(5, 1, { control: true }),
    batch(6, 1), batch(7, 1, { control: true }),
    batch(8, 2), batch(9, 2, { control: true }), batch(10, -1, { transactional: false })
  ]
  const aborted = [{ producerId: 1n, firstOffset: 6n }, { producerId: 1n, firstOffset: 0n }]
  const all = committed(batches, aborted, 0n)
  assert.deepEqual(offsets(all), [3, 4, 8, 10])
  assert.equal(all.next, 11n)
  // The transaction that was aborted began before the offset that is read from.
  assert.deepEqual(offsets(committed(batches.slice(1), aborted, 1n)), [3, 4, 8, 10])
  // Its end comes in the next response.
  assert.deepEqual(committed([batch(0, 1, { records: 2 })], [{ producerId: 1n, firstOffset: 0n }], 0n), { records: [], next: 2n })
  // An abort of nothing.
  assert.deepEqual(offsets(committed([batch(0, 3, { control: true }), batch(1, 1)], [{ producerId: 9n, firstOffset: 0n }], 0n)), [1])
  assert.equal(committed([], [], 7n).next, 7n)
})

test('numbers keep their digits', () => {
  const text = '{"a":9223372036854775807,"b":[1.50,{"c":-0.07}],"d":"x\\"y","e":null,"f":true,"__proto__":"z"}'
  assert.equal(stringify(parse(text)), text)
  assert.deepEqual(parse('{"n":1e3}').n, new Digits('1e3'))
  for (const bad of ['', '{', '[]', '7', '{"a":01}', '\u0000']) assert.throws(() => parse(bad), bad)
})

test('a letter is what the Go program writes', () => {
  assert.equal(letter().encode(), '{"status":"QUEUED","orderId":"o-1","to":"franz@example.com","level":"gold","kind":"order","reason":"","messageId":"order-70559761390a7c2d7877b260@example.com","attempts":0,"createdAt":1700000000000,"sentAt":null,"row":{"customerId":9223372036854775807,"product":"UNDERPANTS","quantity":3,"price":5.00,"paymentId":"Payment:1234","amount":1000.50,"ccy":"CZK","firstName":"Franz","lastName":"Kafka","email":"franz@example.com","level":"gold","kind":"order"}}')
  assert.deepEqual(Letter.decode(letter().encode()), letter())
  assert.equal(messageID('o-1', 'example.com'), 'order-70559761390a7c2d7877b260@example.com')
})

test('rows that no mail can be made of', () => {
  for (const [text, want] of Object.entries({
    '{': /JSON|Expected/, '[]': /not a JSON object/, '{}': /no product/, '{"PRODUCT":7}': /product: must be text/,
    '{"PRODUCT":"HATS","PAYMENTID":"p","QUANTITY":0}': /quantity is 0/, '{"PRODUCT":"HATS","QUANTITY":1}': /no paymentId/,
    '{"PRICE":"5"}': /price: must be a number/, '{"AMOUNT":0.001}': /amount/, '{"QUANTITY":3000000000}': /32 bits/, '{"QUANTITY":1.5}': /whole number/
  })) assert.throws(() => decodeRow(text), want, text)
})

test('addresses', () => {
  assert.equal(address(' a@b.example '), 'a@b.example')
  for (const bad of ['', ' ', 'a', 'a@', '@b', 'a@b\r\nBcc: c@d', 'A <a@b.example>', 'a@b.example, c@d.example', 'a b@c.example', 'a@b..c']) assert.throws(() => address(bad), bad)
})

test('what an attempt leaves', () => {
  const hold = new Policy({ resend: false, retryMin: 1000, retryMax: 10_000, retryFor: 3_600_000 })
  const resend = new Policy({ ...hold, resend: true })
  const after = (outcome, policy, later = 0) => {
    const l = letter()
    Object.assign(l, { status: 'SENDING', attempt: 'x/1', attempts: 3 })
    l.settle(outcome, policy, l.createdAt + later)
    return l
  }
  assert.equal(after({ kind: 'delivered', reason: '' }, hold).status, 'SENT')
  assert.equal(after({ kind: 'delivered', reason: '' }, hold).row, undefined)
  assert.equal(after({ kind: 'rejected', reason: '550' }, hold).status, 'REFUSED')
  assert.equal(after({ kind: 'failed', reason: '451' }, hold).retryAt, 1_700_000_004_000)
  assert.match(after({ kind: 'failed', reason: '451' }, hold, 7_200_000).reason, /not sent within.*451/)
  assert.equal(after({ kind: 'unknown', reason: 'gone' }, hold).status, 'HELD')
  assert.equal(after({ kind: 'unknown', reason: 'gone' }, resend).status, 'QUEUED')
  assert.equal(after({ kind: 'not-started', reason: '' }, hold).attempts, 2)
})

test('what an error means for the mail', () => {
  const kind = (error, begun) => classify(error, begun).outcome.kind
  assert.equal(kind({ command: 'RCPT TO', responseCode: 550, response: '550 no' }, false), 'rejected')
  assert.equal(kind({ command: 'RCPT TO', responseCode: 450, response: '450 busy' }, false), 'failed')
  assert.equal(kind({ command: 'MAIL FROM', responseCode: 550, response: '550 not you' }, false), 'failed')
  assert.equal(kind({ command: 'DATA', responseCode: 554, response: '554 spam' }, true), 'rejected')
  assert.equal(kind({ command: 'CONN', message: 'closed' }, false), 'failed')
  assert.equal(kind({ command: 'CONN', message: 'closed' }, true), 'unknown')
})

test('markup is escaped and line ends make no headers', async () => {
  const l = letter()
  Object.assign(l.row, { firstName: '<script>"&', lastName: 'Eve\r\nBcc: all@example.com', product: 'HATS\r\nX-Injected: yes' })
  const text = (await render(l, { name: 'Shop', address: 'shop@example.com' })).toString()
  assert.ok(!/^(Bcc|X-Injected):/mi.test(text), text)
  assert.ok(!text.slice(text.indexOf('text/html')).includes('<script>'))
  assert.equal(html`<b>${'<i>'}</b>`, '<b>&lt;i&gt;</b>')
  assert.equal(line('a\r\n\tb'), 'a b')
})

test('settings', () => {
  assert.equal(duration('1h30m'), 5_400_000)
  assert.equal(duration('250ms'), 250)
  assert.equal(duration('soon'), undefined)
  const s = readSettings({ SMTP_ADDR: 'mail.example.com:587', EMAIL_CRASH_POLICY: 'RESEND', SMTP_FROM: 'Shop <a@b.example>' })
  assert.equal(s.policy.resend, true)
  assert.deepEqual(s.smtp.from, { name: 'Shop', address: 'a@b.example' })
  assert.throws(() => readSettings({ SMTP_ADDR: 'x', EMAIL_RETRY_MIN: 'soon', EMAIL_WORKERS: '0', KAFKA_SECURITY_PROTOCOL: 'SASL_SSL', KAFKA_SASL_MECHANISM: 'PLAIN' }),
    error => ['SMTP_ADDR', 'EMAIL_RETRY_MIN', 'EMAIL_WORKERS', 'KAFKA_SASL_USERNAME'].every(n => error.message.includes(n)))
})

test('the desk hands a mail out once, and takes it back', async () => {
  const d = new Desk()
  const signal = new AbortController().signal
  d.take([0])
  d.put({ orderId: 'a', to: 'a@b', retryAt: 0 }, 0)
  const a = await d.next(1000, signal)
  assert.equal(a.orderId, 'a')
  d.put({ orderId: 'a', to: 'a@b', retryAt: 0 }, 0)
  assert.equal(await d.next(20, signal), null, 'it is in hand')
  const claim = d.claim(a)
  d.take([1]) // the partition went to another
  assert.equal(await claim, null)
  assert.equal(d.attempts.size, 0)
  d.put({ orderId: 'b', to: 'b@b', retryAt: 0 }, 1)
  const b = await d.next(1000, signal)
  assert.equal(d.giveBack(b), true)
  assert.equal((await d.next(1000, signal)).orderId, 'b', 'after a pause')
  await d.stop(0)
  d.take([1])
  d.put({ orderId: 'c', to: 'c@b', retryAt: 0 }, 1)
  assert.equal(await d.next(20, signal), null, 'it is stopped')
})
