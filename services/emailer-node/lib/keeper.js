// The keeper alone decides what is on record about each mail.
//
//	order-emails, email-commands ──► inbox ─┐
//	workers: claims and outcomes ── desk ───┴─► decide ──► one transaction: records
//	                                            of emails-sent, offsets ──► desk
//
// emails-sent is the state: it is read when partitions are taken over. All writes
// go by transactions that carry the group's generation, so a process that lost its
// partitions can't write any more.
//
// A life is one set of clients. An error ends it, and another one begins from what
// is committed; what the workers have goes on meanwhile.

import { Consumer, ListOffsetTimestamps, Producer } from '@platformatic/kafka'
import { PartitionReader } from './committed.js'
import { parse } from './json.js'
import { Letter, address, decodeRow, waits } from './letter.js'
import { reason } from './log.js'
import { Transactor } from './transactor.js'

export const rows = 'order-emails'
export const sent = 'emails-sent'
export const commands = 'email-commands'

const group = 'email'
const most = 500 // records in a transaction

/** byNumber gives partition n of every topic to one member. */
function byNumber (_current, members, topics, metadata) {
  const ids = [...members.keys()].sort()
  const out = ids.map(memberId => ({ memberId, assignments: new Map() }))
  for (const topic of topics) {
    for (let p = 0; p < metadata.topics.get(topic).partitionsCount; p++) {
      const to = out[p % ids.length].assignments
      if (!to.has(topic)) to.set(topic, { topic, partitions: [] })
      to.get(topic).partitions.push(p)
    }
  }
  return out
}

export class Keeper {
  #s
  #desk
  #log
  #m
  #stopping = false
  #woken = false
  ready = false

  constructor (settings, desk, log, metrics) {
    this.#s = settings
    this.#desk = desk
    this.#log = log
    this.#m = metrics
    desk.on('changed', () => this.#wake())
  }

  #wake () {
    this.#woken = true
    this.#ring?.()
  }

  #ring = null

  /** pause waits until there is something to do, at most for the time. */
  async #pause (ms) {
    if (!this.#woken) {
      await new Promise(resolve => {
        const late = setTimeout(resolve, ms)
        this.#ring = () => { clearTimeout(late); resolve() }
      })
      this.#ring = null
    }
    this.#woken = false
  }

  /** client is the configuration that all Kafka clients share. */
  #client (more) {
    return { clientId: 'email', bootstrapBrokers: this.#s.brokers, retries: 3, retryDelay: 100, connectTimeout: 5000, ...this.#s.kafka, ...more }
  }

  /** check fails with one message when the broker or a topic isn't there. */
  async check () {
    const c = new Producer(this.#client({ retries: 0 }))
    const end = Date.now() + this.#s.startTimeout
    try {
      for (;;) {
        try {
          const { topics } = await c.metadata({ topics: [rows, sent, commands], forceUpdate: true })
          const count = topics.get(rows).partitionsCount
          for (const t of [sent, commands]) {
            const n = topics.get(t).partitionsCount
            if (n !== count) throw new StartError(`topic ${rows} has ${count} partitions and ${t} has ${n}; they need the same number`)
          }
          return
        } catch (error) {
          if (error instanceof StartError) throw error
          if (error.findBy?.('apiId', 'UNKNOWN_TOPIC_OR_PARTITION')) {
            throw new StartError(`the broker doesn't have the topics ${rows}, ${sent} and ${commands}: make the topics of ksql/topics.yaml first`)
          }
          if (Date.now() > end) {
            throw new StartError(`no Kafka broker answers at ${this.#s.brokers.join(',')} (${reason(error)}); is it running, and is KAFKA_BOOTSTRAP_SERVERS right?`)
          }
          await new Promise(resolve => setTimeout(resolve, 100))
        }
      }
    } finally {
      await c.close().catch(() => {})
    }
  }

  /** run works until stop. */
  async run () {
    let pause = 100
    while (!this.#stopping) {
      const began = Date.now()
      try {
        await this.#live()
      } catch (error) {
        if (this.#stopping) break
        if (Date.now() - began > 60_000) pause = 100
        this.#m.lives++
        this.#log.warn('starting anew from what is committed', { error, after: `${pause}ms` })
        await new Promise(resolve => setTimeout(resolve, pause))
        pause = Math.min(5000, 2 * pause)
      } finally {
        this.ready = false
      }
    }
  }

  stop () {
    this.#stopping = true
    this.#wake()
  }

  async #live () {
    const life = new Life()
    life.consumer = new Consumer(this.#client({
      groupId: group, groupInstanceId: this.#s.instance, autocommit: false,
      sessionTimeout: 6000, heartbeatInterval: 1000, rebalanceTimeout: 30_000, partitionAssigner: byNumber
    }))
    life.reader = new PartitionReader(life.consumer, this.#s)
    life.transactor = new Transactor(life.consumer, this.#s, `${group}-${this.#s.instance}`, 10_000)
    life.consumer.on('error', error => life.fail(error))
    life.consumer.on('consumer:group:join', ({ generationId }) => {
      life.generation = generationId
      this.#wake()
    })
    life.failed.catch(() => this.#wake())
    try {
      await life.transactor.begin()
      life.consumer.topics.trackAll(rows, commands)
      await life.consumer.joinGroup({ partitionAssigner: byNumber })
      while (!this.#stopping) {
        if (life.error) throw life.error
        if (life.taken !== life.generation) await this.#takeOver(life)
        const batch = this.#collect(life)
        if (batch === null) {
          await this.#pause(1000)
          continue
        }
        await this.#commit(life, batch)
      }
      // The partitions go to others at once.
      life.end()
      await life.consumer.leaveGroup(true).catch(error => this.#log.debug('leaving the group', { error }))
    } finally {
      life.end()
      await Promise.allSettled([life.reader.close(), life.transactor.close(), life.consumer.close(true)])
    }
  }

  /** takeOver reads the state of the partitions that the group gave us, then goes on to read their inputs. */
  async #takeOver (life) {
    this.ready = false
    life.taken = life.generation
    const held = (life.consumer.assignments ?? []).find(a => a.topic === rows)?.partitions ?? []
    life.epoch++ // what the reader still brings of before is dropped
    life.inbox = []
    life.state = new Map(held.map(p => [p, new Map()]))
    this.#desk.take(held)
    const began = Date.now()
    const count = held.length > 0 ? await this.#restore(life, held) : 0
    if (life.taken !== life.generation) return
    for (const [p, letters] of life.state) {
      for (const l of letters.values()) {
        if (l.status === 'QUEUED') this.#desk.put(l, p)
      }
    }
    life.orphans = [...life.state].flatMap(([p, letters]) => [...letters.values()]
      .filter(l => l.status === 'SENDING' && this.#desk.attempts.get(l.orderId)?.name !== l.attempt)
      .map(l => ({ orderId: l.orderId, partition: p })))
    if (held.length > 0) await this.#position(life, held)
    this.ready = true
    this.#log.info('partitions assigned', { partitions: held.length, restored: count, took: `${Date.now() - began}ms` })
    this.#read(life, life.epoch)
  }

  /** restore reads emails-sent up to its end, open transactions included: they are awaited. */
  async #restore (life, held) {
    const partitions = { [sent]: held }
    const earliest = await life.consumer.listOffsets({ topics: [sent], partitions, timestamp: ListOffsetTimestamps.EARLIEST })
    const latest = await life.consumer.listOffsets({ topics: [sent], partitions, timestamp: ListOffsetTimestamps.LATEST, isolationLevel: 0 })
    const reader = new PartitionReader(life.consumer, this.#s)
    let count = 0
    try {
      for (const p of held) reader.from(sent, p, earliest.get(sent)[p])
      while (held.some(p => reader.position(sent, p) < latest.get(sent)[p])) {
        if (life.error) throw life.error
        for (const r of await reader.fetch(100)) {
          count++
          this.#remember(life.state.get(r.partition), r)
        }
      }
    } finally {
      await reader.close()
    }
    return count
  }

  #remember (letters, r) {
    const id = r.key?.toString() ?? ''
    if (r.value === null) {
      letters.delete(id)
      return
    }
    try {
      letters.set(id, kept(Letter.decode(r.value.toString())))
    } catch (error) {
      this.#log.error('a mail is left alone: its record can\'t be read', { order: id, partition: r.partition, offset: r.offset, error })
      letters.set(id, Object.assign(new Letter(), { status: 'UNREADABLE', orderId: id }))
    }
  }

  /** position sets the reader behind what is committed. */
  async #position (life, held) {
    const topics = [rows, commands]
    const committed = await life.consumer.listCommittedOffsets({ topics: topics.map(topic => ({ topic, partitions: held })) })
    const earliest = await life.consumer.listOffsets({ topics, partitions: Object.fromEntries(topics.map(t => [t, held])), timestamp: ListOffsetTimestamps.EARLIEST })
    life.offsets = new Map()
    for (const topic of topics) {
      for (const p of held) {
        const first = earliest.get(topic)[p]
        let at = committed.get(topic)?.[p] ?? -1n
        if (at < first) {
          if (at >= 0n) this.#log.warn('records were deleted before they were processed', { topic, partition: p, committed: at, first })
          at = first
        }
        life.offsets.set(`${topic}:${p}`, at)
        life.reader.from(topic, p, at)
      }
    }
  }

  /** read brings records into the inbox until the partitions change. */
  async #read (life, epoch) {
    try {
      while (!life.over && life.epoch === epoch) {
        if (life.state.size === 0 || life.inbox.length > 4 * most) {
          await new Promise(resolve => setTimeout(resolve, 50))
          continue
        }
        const records = await life.reader.fetch(250)
        if (life.epoch !== epoch) return
        if (records.length > 0) {
          life.inbox.push(...records)
          this.#wake()
        }
      }
    } catch (error) {
      life.fail(error)
    }
  }

  /** collect decides about all that there is to decide now; null: nothing. */
  #collect (life) {
    const b = { letters: new Map(), offsets: new Map(), after: [] }
    const get = (p, id) => b.letters.get(id)?.letter ?? life.state.get(p)?.get(id)
    const put = (p, letter) => b.letters.set(letter.orderId, { partition: p, letter })
    const now = Date.now()

    for (const o of life.orphans) {
      const l = get(o.partition, o.orderId)?.copy()
      if (l?.status !== 'SENDING') continue
      l.doubt('the program ended while it sent this mail', this.#s.policy, now)
      this.#log.warn('a mail was being sent when its program ended', { order: l.orderId, status: l.status, messageId: l.messageId })
      this.#m.attempt('unknown')
      put(o.partition, l)
    }
    b.orphans = life.orphans.length > 0
    for (const r of life.inbox.slice(0, most)) {
      b.offsets.set(`${r.topic}:${r.partition}`, { topic: r.topic, partition: r.partition, next: r.offset + 1n })
      try {
        const l = this.#decide(r, get, now)
        if (l) put(r.partition, l)
      } catch (error) {
        this.#m.poison(r.topic)
        this.#log.warn('bad record passed by', { topic: r.topic, partition: r.partition, offset: r.offset, error })
      }
    }
    b.taken = Math.min(most, life.inbox.length)
    for (const a of [...this.#desk.attempts.values()]) {
      if (!life.state.has(a.partition)) {
        if (a.phase === 'finished') this.#forget(a)
        continue
      }
      if (a.phase === 'asked') this.#claimed(a, get, put, b)
      else if (a.phase === 'finished') this.#ended(a, get, put, b, now)
    }
    const nothing = b.letters.size === 0 && b.offsets.size === 0 && !b.orphans
    return nothing ? null : b
  }

  /** forget gives up the outcome of a mail whose partition is another's by now. */
  #forget (a) {
    this.#desk.attempts.delete(a.orderId)
    this.#log.warn('a mail\'s partition went to another replica while it was sent; that one decides by the policy', { order: a.orderId, outcome: a.outcome.kind })
  }

  #claimed (a, get, put, b) {
    const l = get(a.partition, a.orderId)?.copy()
    if (l?.status !== 'QUEUED' || l.to !== a.to) {
      this.#desk.refuse(a)
      return
    }
    Object.assign(l, { status: 'SENDING', attempt: a.name, retryAt: 0, attempts: l.attempts + 1 })
    put(a.partition, l)
    a.claimed = true
    b.after.push(() => {
      if (this.#desk.attempts.get(a.orderId) !== a) { // taken back in the meantime, and not begun
        this.#desk.attempts.set(a.orderId, Object.assign(a, { phase: 'finished', outcome: { kind: 'not-started', reason: '' } }))
        this.#wake()
        return
      }
      a.phase = 'running'
      a.answer(l)
    })
  }

  #ended (a, get, put, b, now) {
    const l = get(a.partition, a.orderId)?.copy()
    const mine = l?.status === 'SENDING' && l.attempt === a.name
    if (mine || (l?.status === 'QUEUED' && !a.claimed)) {
      if (!mine) l.attempts++ // it was refused before it was claimed
      l.settle(a.outcome, this.#s.policy, now)
      put(a.partition, l)
      if (!a.told) {
        a.told = true
        this.#tell(l, a.outcome)
      }
      b.after.push(() => {
        this.#desk.attempts.delete(a.orderId)
        if (l.status === 'QUEUED') this.#desk.put(l, a.partition)
      })
      return
    }
    this.#desk.attempts.delete(a.orderId) // it is on record already
    if (l?.status === 'QUEUED') this.#desk.put(l, a.partition)
  }

  #tell (l, outcome) {
    this.#m.attempt(outcome.kind)
    if (outcome.kind === 'delivered') this.#log.debug('sent', { order: l.orderId, to: l.to, messageId: l.messageId })
    else if (waits(l.status)) this.#log.warn('a mail waits for an operator (GET /admin/held)', { order: l.orderId, status: l.status, reason: l.reason })
    else if (outcome.kind !== 'not-started') this.#log.info('a mail is tried again', { order: l.orderId, attempts: l.attempts, reason: l.reason })
  }

  /** decide takes a row or an operator's command; it returns the letter to write, if any. */
  #decide (r, get, now) {
    const id = r.key?.toString() ?? ''
    if (id === '') throw new Error('the key, the order\'s id, is missing')
    if (r.value === null) return
    const l = get(r.partition, id)?.copy()
    if (l?.status === 'UNREADABLE') throw new Error(`the record of order ${id} on ${sent} can't be read`)
    if (r.topic === commands) return this.#command(l, id, r.value.toString(), now)
    const row = decodeRow(r.value.toString())
    if (!l) return Letter.of(id, row, this.#s.smtp.from.address.split('@')[1], now)
    if (l.status !== 'NO_ADDRESS' || row.email === l.row.email) return // one mail an order
    l.row = row
    l.findAddress()
    return l
  }

  #command (l, id, text, now) {
    const c = parse(text)
    if (!l) throw new Error(`a command for order ${JSON.stringify(id)}, which has no mail`)
    if (c.action !== 'send' && c.action !== 'drop') throw new Error(`a command ${JSON.stringify(c.action)}: there are send and drop`)
    if (!waits(l.status)) {
      this.#log.info('a command comes too late', { order: id, action: c.action, status: l.status })
      return
    }
    if (c.action === 'drop') return Object.assign(l, { status: 'DROPPED', reason: 'by an operator', row: undefined })
    if (c.to) l.row = { ...l.row, email: address(c.to) }
    l.findAddress()
    l.createdAt = now // the time to give up begins anew
    return l
  }

  /** commit writes a batch in one transaction, and then lets its effects out. */
  async #commit (life, b) {
    const touched = new Set([...b.letters.values()].map(l => l.partition))
    for (const o of b.offsets.values()) touched.add(o.partition)
    if (touched.size > 0) {
      const messages = [...b.letters].map(([id, { partition, letter }]) => ({
        topic: sent, partition, key: Buffer.from(id), value: Buffer.from(letter.encode())
      }))
      const member = { groupId: group, generationId: life.taken, memberId: life.consumer.memberId, groupInstanceId: this.#s.instance }
      // Every partition's offsets are in it, moved or not: with the generation that
      // comes with them the broker refuses one who lost the partition.
      const offsets = [...touched].flatMap(partition => [rows, commands].map(topic => {
        const key = `${topic}:${partition}`
        return { topic, partition, offset: b.offsets.get(key)?.next ?? life.offsets.get(key) }
      }))
      await life.transactor.commit(messages, member, offsets)
      this.#m.commits++
    }
    for (const [key, o] of b.offsets) life.offsets.set(key, o.next)
    life.inbox.splice(0, b.taken)
    life.orphans = []
    for (const [id, { partition, letter }] of b.letters) {
      const was = life.state.get(partition).get(id)
      life.state.get(partition).set(id, kept(letter))
      if (letter.status === 'QUEUED' && was?.status !== 'QUEUED') this.#desk.put(letter, partition)
    }
    for (const f of b.after) f()
    if (b.after.length > 0) this.#desk.changed()
  }
}

/** kept is what is remembered of a letter: of nearly all, that there is no more to do. */
const kept = l => l.row ? l : Object.assign(new Letter(), { status: l.status, orderId: l.orderId })

/** StartError is one that trying again doesn't cure. */
export class StartError extends Error {}

/** Life is what belongs to one set of clients. */
class Life {
  generation = 0
  taken = 0
  epoch = 0
  inbox = []
  state = new Map() // partition → order id → letter
  orphans = [] // SENDING by somebody who is gone
  offsets = new Map() // "topic:partition" → the offset to commit
  over = false
  error = null
  failed = new Promise((resolve, reject) => { this.fail = error => { this.error ??= error; reject(error) } })

  end () {
    this.over = true
    this.epoch++
  }
}

