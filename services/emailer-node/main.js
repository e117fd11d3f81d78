// The email service's program in Node.js: one mail for each order that is
// validated and paid. It is the same as services/email, which is written in Go:
// same topics and records, same settings, same endpoints.
//
//	order-emails ──► keeper ──► emails-sent: QUEUED, SENDING, SENT, …
//	                   ▲ │
//	                   │ ▼
//	                  desk ◄─► workers ─► render ─► smtp ─► SMTP server
//	http ◄── stats ◄── pull queries on the sidecar: ksql/email
//
// main.js only wires.

import { Desk } from './lib/desk.js'
import { Server } from './lib/http.js'
import { Keeper } from './lib/keeper.js'
import { logger, reason } from './lib/log.js'
import { Metrics } from './lib/metrics.js'
import { readSettings } from './lib/settings.js'
import { work } from './lib/workers.js'

async function main () {
  const settings = readSettings()
  const log = logger(settings.level, settings.format)
  const metrics = new Metrics()
  const desk = new Desk()
  const keeper = new Keeper(settings, desk, log, metrics)
  const server = new Server(settings, keeper, desk, metrics, log)
  const http = await server.listen()
  await keeper.check()
  log.info('started', { brokers: settings.brokers.join(','), instance: settings.instance, http, smtp: `${settings.smtp.host}:${settings.smtp.port}` })

  const cut = new AbortController()
  const workers = Array.from({ length: settings.workers }, () => work({ desk, smtp: settings.smtp, log, metrics, signal: cut.signal }))
  const keeping = keeper.run()
  await new Promise(resolve => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  // Mails under way get their end, and it goes on record, before the partitions go.
  await desk.stop(settings.drain)
  cut.abort() // what isn't through by now is cut off
  await desk.drained(5000)
  keeper.stop()
  await Promise.all([server.close(), keeping, ...workers])
  log.info('stopped')
}

main().then(() => process.exit(0), error => {
  process.stderr.write(`email: ${reason(error)}\n`)
  process.exit(1)
})
