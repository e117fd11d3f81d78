// The settings: environment variables, the same as those of the Go program
// (services/email/README.md has them in a table). What is wrong with them comes
// as one message.

import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { Policy } from './letter.js'

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** duration reads 250ms, 1.5s, 1h30m as milliseconds; undefined if it isn't one. */
export function duration (text) {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  let total = 0
  for (const [, n, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h)/g)) total += Number(n) * units[unit]
  return total
}

export function readSettings (env = process.env) {
  const faults = []
  const value = (name, missing) => (env[name] ?? '').trim() || missing
  const choice = (name, missing, ...of) => {
    const text = value(name, missing)
    const found = of.find(o => o.toLowerCase() === text.toLowerCase())
    if (found === undefined) faults.push(`${name} is ${JSON.stringify(text)}: give ${of.join(' or ')}`)
    return found ?? missing
  }
  const time = (name, missing, least) => {
    const text = value(name, missing)
    const d = duration(text)
    if (d === undefined || d < least) faults.push(`${name} is ${JSON.stringify(text)}: give a time of at least ${least}ms, as 250ms or 60s`)
    return d ?? duration(missing)
  }
  const hostPort = (name, missing, host) => {
    const text = value(name, missing)
    const m = /^(.*):(\d{1,5})$/.exec(text)
    if (!m || Number(m[2]) > 65535 || (host && m[1] === '')) {
      faults.push(`${name} is ${JSON.stringify(text)}: give host:port`)
      return { host: '127.0.0.1', port: 0 }
    }
    return { host: m[1].replace(/^\[|\]$/g, ''), port: Number(m[2]) }
  }
  const read = (name, file) => {
    try {
      return readFileSync(file)
    } catch (error) {
      faults.push(`${name}: ${error.message}`)
    }
  }
  const secret = name => {
    const file = value(name + '_FILE', '')
    if (file && env[name]) faults.push(`${name} and ${name}_FILE are both set: give one`)
    return file ? (read(name + '_FILE', file)?.toString().replace(/[\r\n]+$/, '') ?? '') : (env[name] ?? '')
  }

  const s = {
    brokers: value('KAFKA_BOOTSTRAP_SERVERS', '127.0.0.1:9092').split(',').map(b => b.trim()).filter(Boolean),
    http: hostPort('HTTP_ADDR', ':8080', false),
    instance: value('INSTANCE_ID', hostname() || '0'),
    level: choice('LOG_LEVEL', 'info', 'debug', 'info', 'warn', 'error'),
    format: choice('LOG_FORMAT', 'text', 'text', 'json'),
    startTimeout: time('START_TIMEOUT', '15s', 100),
    sidecar: value('SIDECAR_URL', 'http://127.0.0.1:8088').replace(/\/$/, ''),
    policy: new Policy({
      resend: choice('EMAIL_CRASH_POLICY', 'hold', 'hold', 'resend') === 'resend',
      retryMin: time('EMAIL_RETRY_MIN', '1s', 1),
      retryMax: time('EMAIL_RETRY_MAX', '5m', 1),
      retryFor: time('EMAIL_RETRY_FOR', '24h', 1)
    }),
    workers: Number(value('EMAIL_WORKERS', '8')),
    drain: time('EMAIL_DRAIN', '20s', 0),
    smtp: {
      ...hostPort('SMTP_ADDR', '127.0.0.1:1025', true),
      security: choice('SMTP_TLS', 'opportunistic', 'none', 'opportunistic', 'starttls', 'tls'),
      user: value('SMTP_USER', ''),
      password: secret('SMTP_PASSWORD'),
      helo: value('SMTP_HELO', 'localhost'),
      timeout: time('SMTP_TIMEOUT', '30s', 10)
    }
  }
  if (!Number.isInteger(s.workers) || s.workers < 1 || s.workers > 256) faults.push(`EMAIL_WORKERS is ${JSON.stringify(value('EMAIL_WORKERS'))}: give a whole number from 1 to 256`)

  const from = value('SMTP_FROM', 'Sidestream Shop <shop@example.com>')
  const m = /^(?:"?([^"<>]*?)"?\s*<([^<>\s]+@[^<>\s]+)>|([^<>\s]+@[^<>\s]+))$/.exec(from)
  if (!m) faults.push(`SMTP_FROM is ${JSON.stringify(from)}: give an address, as shop@example.com or Shop <shop@example.com>`)
  else s.smtp.from = { name: m[1] ?? '', address: m[2] ?? m[3] }
  const ca = value('SMTP_CA_FILE', '')
  if (ca) s.smtp.ca = read('SMTP_CA_FILE', ca)

  s.kafka = kafka({ value, choice, secret, read, faults })
  if (faults.length > 0) throw new Error('settings: ' + faults.join('; '))
  return s
}

/** kafka is what the Kafka clients need for TLS and SASL. */
function kafka ({ value, choice, secret, read, faults }) {
  const out = {}
  const protocol = choice('KAFKA_SECURITY_PROTOCOL', 'PLAINTEXT', 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL')
  if (protocol.endsWith('SSL')) {
    out.tls = {}
    for (const [name, to] of [['KAFKA_SSL_CA_LOCATION', 'ca'], ['KAFKA_SSL_CERTIFICATE_LOCATION', 'cert'], ['KAFKA_SSL_KEY_LOCATION', 'key']]) {
      const file = value(name, '')
      if (file) out.tls[to] = read(name, file)
    }
  }
  if (protocol.startsWith('SASL_')) {
    out.sasl = {
      mechanism: choice('KAFKA_SASL_MECHANISM', '', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'),
      username: value('KAFKA_SASL_USERNAME', ''),
      password: secret('KAFKA_SASL_PASSWORD')
    }
    if (!out.sasl.username) faults.push(`KAFKA_SASL_USERNAME is needed with KAFKA_SECURITY_PROTOCOL ${protocol}`)
    if (!out.sasl.password) faults.push('give the password by one of KAFKA_SASL_PASSWORD_FILE and KAFKA_SASL_PASSWORD')
  }
  if (value('KAFKA_CLIENT', '')) faults.push('KAFKA_CLIENT has settings of the Go program\'s Kafka client, which this program doesn\'t have')
  return out
}
