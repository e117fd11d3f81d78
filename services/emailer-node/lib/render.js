// Renders mails: a subject, a text and an HTML that escapes what it is given.

import MailComposer from 'nodemailer/lib/mail-composer/index.js'

/** line is text on one line: control characters, line ends among them, are blanks. */
export const line = text => text.replace(/[\p{Cc}\s]+/gu, ' ').trim()

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' }
export const escape = text => String(text).replace(/[&<>"']/g, c => escapes[c])

/** html is a template tag that escapes every value. */
export const html = (parts, ...values) => parts.reduce((out, part, i) => out + escape(values[i - 1]) + part)

const page = (title, rule, body) => html`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body style="font-family:sans-serif;color:#1b1f24;max-width:34rem;margin:auto;padding:1rem`.concat(rule, '">\n', body, '\n<p>Sidestream Shop</p>\n</body>\n</html>\n')

const table = v => html`<table style="border-collapse:collapse">
<tr><td style="padding:.2rem 1rem .2rem 0">${v.quantity} × ${v.product}</td><td>at ${v.price}</td></tr>
<tr><td style="padding:.2rem 1rem .2rem 0">paid</td><td>${v.paid} (payment ${v.paymentId})</td></tr>
</table>`

const figures = v => `  ${v.quantity} × ${v.product} at ${v.price}
  paid: ${v.paid} (payment ${v.paymentId})

Sidestream Shop
`

/** The kinds of mail; the SQL's column kind names one. */
const kinds = {
  order: {
    subject: v => `Your order ${v.orderId}: ${v.quantity} × ${v.product}`,
    text: v => `Hello${v.firstName && ' '}${v.firstName},

thank you for your order ${v.orderId}. It is paid and on its way to you.

${figures(v)}`,
    html: v => page(`Your order ${v.orderId}`, '', html`<p>Hello${v.firstName && ' '}${v.firstName},</p>
<p>thank you for your order <strong>${v.orderId}</strong>. It is paid and on its way to you.</p>
` + table(v))
  },
  platinum: {
    subject: v => `Platinum: your order ${v.orderId} goes first`,
    text: v => `Dear ${v.firstName || 'customer'},

as a platinum customer you come first: your order ${v.orderId} is paid and leaves
our warehouse today.

${figures(v)}`,
    html: v => page(`Your order ${v.orderId}`, ';border-top:.4rem solid #6b7a8f', html`<p>Dear ${v.firstName || 'customer'},</p>
<p>as a <strong>platinum</strong> customer you come first: your order <strong>${v.orderId}</strong> is paid and leaves our warehouse today.</p>
` + table(v))
  }
}

/** render makes a letter's message: a Buffer. */
export function render (letter, from, now = new Date()) {
  const row = letter.row
  const v = {
    orderId: line(letter.orderId), product: line(row.product), paymentId: line(row.paymentId), quantity: row.quantity.text,
    price: row.price.text, paid: (row.amount.text + ' ' + line(row.ccy)).trim(), firstName: line(row.firstName)
  }
  const kind = Object.hasOwn(kinds, letter.kind) ? kinds[letter.kind] : kinds.order
  return new MailComposer({
    from,
    to: { name: `${v.firstName} ${line(row.lastName)}`.trim(), address: letter.to },
    subject: line(kind.subject(v)),
    date: now,
    messageId: `<${letter.messageId}>`,
    headers: { 'X-Order-ID': v.orderId, 'Auto-Submitted': 'auto-generated' },
    text: kind.text(v),
    html: kind.html(v),
    disableFileAccess: true,
    disableUrlAccess: true
  }).compile().build()
}
