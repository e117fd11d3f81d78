// The HTTP side: health, metrics, and the operators' API, the same as the Go
// program's.

import { createServer } from 'node:http'
import { Producer, compatibilityPartitioner } from '@platformatic/kafka'
import { commands } from './keeper.js'
import { address, waits } from './letter.js'
import { held, one, page, stats } from './stats.js'
import { Sidecar } from './sql.js'

/** Problem is an error as RFC 9457 has it. */
class Problem extends Error {
  constructor (status, code, detail, more = {}) {
    super(detail)
    Object.assign(this, { status, code, more })
  }
}

const titles = { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 413: 'Request Entity Too Large', 415: 'Unsupported Media Type', 422: 'Unprocessable Entity', 500: 'Internal Server Error', 503: 'Service Unavailable' }

export class Server {
  #draining = false
  #keeper
  #desk
  #metrics
  #log
  #sidecar
  #s
  #producer
  #server

  constructor (settings, keeper, desk, metrics, log) {
    this.#s = settings
    this.#keeper = keeper
    this.#desk = desk
    this.#metrics = metrics
    this.#log = log
    this.#sidecar = new Sidecar(settings.sidecar)
    this.#server = createServer((req, res) => this.#serve(req, res))
    this.#server.headersTimeout = 5000
    this.#server.requestTimeout = 10_000
  }

  /** listen opens the address; the error says who is in the way. */
  listen () {
    const { host, port } = this.#s.http
    return new Promise((resolve, reject) => {
      this.#server.once('error', error => reject(error.code === 'EADDRINUSE'
        ? new Error(`address ${host}:${port} is in use by another program: stop that, or set HTTP_ADDR to a free one`)
        : new Error(`can't listen on ${host}:${port} (HTTP_ADDR): ${error.message}`)))
      this.#server.listen(port, host || undefined, () => {
        const at = this.#server.address()
        resolve(`${at.address}:${at.port}`)
      })
    })
  }

  /** close answers the requests under way, and no more. */
  async close () {
    this.#draining = true
    await new Promise(resolve => {
      this.#server.close(resolve)
      this.#server.closeIdleConnections()
      setTimeout(() => this.#server.closeAllConnections(), 5000).unref()
    })
    await this.#producer?.close(true).catch(() => {})
  }

  async #serve (req, res) {
    const url = new URL(req.url, 'http://localhost')
    const reply = (status, body, headers = {}) => {
      res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
      res.end(req.method === 'HEAD' ? undefined : typeof body === 'string' ? body : JSON.stringify(body) + '\n')
    }
    try {
      await this.#route(req, url, reply)
    } catch (error) {
      let p = error
      if (!(p instanceof Problem)) {
        this.#log.error('a request failed', { method: req.method, path: url.pathname, error })
        p = new Problem(500, 'internal', 'A fault of the service; it is in the log.')
      }
      if (res.headersSent) return res.destroy()
      const headers = { 'content-type': 'application/problem+json' }
      if (p.status === 503) headers['retry-after'] = '1'
      if (p.more.allow) headers.allow = p.more.allow
      reply(p.status, { type: 'urn:sidestream:problem:' + p.code, title: titles[p.status], status: p.status, code: p.code, detail: p.message, instance: req.url, ...(p.more.errors && { errors: p.more.errors }) }, headers)
    }
  }

  async #route (req, url, reply) {
    const decision = /^\/admin\/held\/([^/]+)\/(send|drop)$/.exec(url.pathname)
    if (decision) {
      if (req.method !== 'POST') throw wrongMethod(req, url, 'POST')
      return reply(202, await this.#decide(req, decodeURIComponent(decision[1]), decision[2]))
    }
    const get = { '/healthz': 1, '/readyz': 1, '/metrics': 1, '/admin/stats': 1, '/admin/held': 1 }
    if (!Object.hasOwn(get, url.pathname)) throw new Problem(404, 'not-found', `There is nothing at ${url.pathname}.`)
    if (req.method !== 'GET' && req.method !== 'HEAD') throw wrongMethod(req, url, 'GET, HEAD')
    switch (url.pathname) {
      case '/healthz':
        return reply(200, { status: 'up' })
      case '/readyz': {
        const ready = this.#keeper.ready
        const status = this.#draining ? 'draining' : ready ? 'ready' : 'not ready'
        const checks = { partitions: ready ? 'ok' : 'the group has not given this replica its partitions yet, or their state is being restored' }
        return reply(status === 'ready' ? 200 : 503, { status, checks }, status === 'ready' ? {} : { 'retry-after': '1' })
      }
      case '/metrics':
        return reply(200, this.#metrics.text(this.#desk.counts()), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      case '/admin/held':
        return reply(200, { held: await this.#ask(held(this.#sidecar)) })
    }
    const hours = url.searchParams.get('hours') || '24'
    if (!/^\d{1,3}$/.test(hours) || Number(hours) < 1 || Number(hours) > 720) {
      throw new Problem(400, 'bad-parameters', 'The request has bad parameters: see errors.', { errors: [{ in: 'query', field: 'hours', detail: `is ${JSON.stringify(hours)}, must be a whole number from 1 to 720` }] })
    }
    const figures = await this.#ask(stats(this.#sidecar, Number(hours)))
    if (!prefersHTML(req)) return reply(200, figures)
    reply(200, page(figures, await this.#ask(held(this.#sidecar))), {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    })
  }

  async #ask (answer) {
    try {
      return await answer
    } catch (error) {
      this.#log.warn('the sidecar doesn\'t answer', { error })
      throw new Problem(503, 'unavailable', 'The sidecar, which has the figures, doesn\'t answer: ' + error.message)
    }
  }

  /** decide takes an operator's decision; it goes to the replica that has the mail. */
  async #decide (req, orderId, action) {
    const site = req.headers['sec-fetch-site']
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      throw new Problem(403, 'cross-origin', 'Other sites\' pages can\'t press these buttons.')
    }
    const to = await decision(req, action)
    const m = await this.#ask(one(this.#sidecar, orderId))
    if (!m) throw new Problem(404, 'not-found', `Order ${orderId} has no mail.`)
    if (!waits(m.status)) throw new Problem(409, 'not-held', `The mail of order ${orderId} is ${m.status}: there is nothing to decide.`)
    if (action === 'send' && !to && m.status === 'NO_ADDRESS') throw badField('to', 'is needed: the customer has no address')
    this.#producer ??= new Producer({ clientId: 'email-commands', bootstrapBrokers: this.#s.brokers, retries: 3, retryDelay: 100, acks: -1, partitioner: compatibilityPartitioner, ...this.#s.kafka })
    try {
      await this.#producer.send({ messages: [{ topic: commands, key: Buffer.from(orderId), value: Buffer.from(JSON.stringify({ action, to })) }] })
    } catch (error) {
      this.#log.warn('a decision could not be written', { order: orderId, error })
      throw new Problem(503, 'unavailable', 'Kafka didn\'t take the decision: ' + error.message)
    }
    return { orderId, action }
  }
}

const wrongMethod = (req, url, allow) => new Problem(405, 'method-not-allowed', `${req.method} isn't possible at ${url.pathname}, only ${allow}.`, { allow })

const badField = (field, detail) => new Problem(422, 'bad-fields', 'The body has missing, wrong or unknown fields: see errors.', { errors: [{ in: 'body', field, detail }] })

/** decision reads the body of a decision: {"to": "…"} for send, or nothing. */
async function decision (req, action) {
  let text = ''
  for await (const part of req) {
    text += part
    if (text.length > 4096) throw new Problem(413, 'too-large', 'The body is larger than 4096 bytes.')
  }
  if (text === '') return undefined
  if (!/^application\/(.+\+)?json\b/.test(req.headers['content-type'] ?? '')) throw new Problem(415, 'unsupported-media-type', 'Send application/json.')
  let body
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw badField('', 'give {"to": "an address"} or nothing: ' + error.message)
  }
  const unknown = body && typeof body === 'object' && Object.keys(body).find(k => k !== 'to')
  if (body === null || typeof body !== 'object' || Array.isArray(body) || unknown) throw badField(unknown || '', 'give {"to": "an address"} or nothing')
  if (body.to === undefined || body.to === null) return undefined
  if (action !== 'send') throw badField('to', 'belongs to send')
  try {
    return address(String(body.to))
  } catch (error) {
    throw badField('to', error.message)
  }
}

/** prefersHTML tells whether a browser asks. */
function prefersHTML (req) {
  for (const part of (req.headers.accept ?? '').split(',')) {
    const media = part.trim().split(';')[0]
    if (media === 'text/html') return true
    if (media === 'application/json') return false
  }
  return false
}
