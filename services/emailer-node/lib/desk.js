// Where the keeper, which owns what is on record, and the workers, which talk to
// the SMTP server, meet. A mail passes it in these steps:
//
//	put     keeper   the mail is QUEUED and will be due at a time
//	next    worker   takes it, connects, and offers it to the server
//	claim   worker   the server is ready for its text: asks for it; the keeper
//	                 writes SENDING, and when that is committed lets go
//	finish  worker   tells the outcome, of an offer that was refused, too; the
//	                 keeper writes it, and when that is committed forgets the attempt

import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'

export class Desk extends EventEmitter {
  #life = randomUUID()
  #number = 0
  #queue = new Map() // order id → {orderId, to, partition, due}
  #held = new Set() // partitions that are ours
  #pausedTo = 0
  #outages = 0
  #closed = true
  #stopped = false
  attempts = new Map() // order id → attempt: {orderId, to, partition, name, phase, outcome, answer}

  constructor () {
    super()
    this.setMaxListeners(0)
  }

  changed () { this.emit('changed') }

  /** take sets the partitions that are ours. What is on its way goes on. */
  take (partitions) {
    this.#held = new Set(partitions)
    this.#queue.clear()
    this.#closed = this.#stopped
    for (const a of this.attempts.values()) if (!this.#held.has(a.partition)) this.refuse(a)
    this.changed()
  }

  /** refuse takes a mail back from a worker that hasn't begun with it. */
  refuse (a) {
    if (a.phase === 'running' || a.phase === 'finished') return
    this.attempts.delete(a.orderId)
    a.answer?.(null)
  }

  put (letter, partition) {
    this.#queue.set(letter.orderId, { orderId: letter.orderId, to: letter.to, partition, due: letter.retryAt })
    this.changed()
  }

  /** next hands out a mail that is due, and waits for one, at most for the time. */
  async next (most, signal) {
    const end = Date.now() + most
    while (!signal.aborted) {
      const now = Date.now()
      let wait = end - now
      if (wait <= 0) return null
      if (this.#pausedTo > now) {
        wait = Math.min(wait, this.#pausedTo - now)
      } else if (!this.#closed) {
        for (const q of this.#queue.values()) {
          if (this.attempts.has(q.orderId)) continue
          if (q.due > now) {
            wait = Math.min(wait, q.due - now)
            continue
          }
          this.#queue.delete(q.orderId)
          const a = { orderId: q.orderId, to: q.to, partition: q.partition, name: `${this.#life}/${++this.#number}`, phase: 'taken' }
          this.attempts.set(q.orderId, a)
          return a
        }
      }
      await this.#sleep(wait)
    }
    return null
  }

  async #sleep (ms) {
    const timer = new AbortController()
    const late = setTimeout(() => timer.abort(), ms)
    await once(this, 'changed', { signal: timer.signal }).catch(() => {}) // it is time
    clearTimeout(late)
  }

  /**
   * giveBack returns a mail that there is no connection for, and lets all workers
   * wait, longer each time. It tells whether the outage is news.
   */
  giveBack (a) {
    const now = Date.now()
    let news = false
    if (this.#pausedTo <= now) {
      this.#pausedTo = now + Math.min(10_000, 100 * 2 ** Math.min(10, this.#outages))
      news = ++this.#outages === 1
    }
    if (this.attempts.get(a.orderId) === a) {
      this.attempts.delete(a.orderId)
      this.#queue.set(a.orderId, { orderId: a.orderId, to: a.to, partition: a.partition, due: now })
    }
    return news
  }

  /** connected says that the server is there. It tells whether that is news. */
  connected () {
    const news = this.#outages > 0
    this.#outages = 0
    this.#pausedTo = 0
    if (news) this.changed()
    return news
  }

  /** claim asks that SENDING be put on record. The letter is the answer, once that is committed, or null. */
  claim (a) {
    if (this.attempts.get(a.orderId) !== a) return Promise.resolve(null)
    a.phase = 'asked'
    this.changed()
    return new Promise(resolve => { a.answer = resolve })
  }

  finish (a, outcome) {
    if (this.attempts.get(a.orderId) !== a) return // taken back meanwhile; it had not begun
    a.phase = 'finished'
    a.outcome = outcome
    this.changed()
  }

  /** close hands nothing out any more, and waits until no worker has a mail, at most for the time. */
  async close (most) {
    this.#closed = true
    for (const a of [...this.attempts.values()]) this.refuse(a)
    await this.#until(most, () => [...this.attempts.values()].every(a => a.phase !== 'running'))
  }

  /** stop is close for good. */
  async stop (most) {
    this.#stopped = true
    await this.close(most)
  }

  /** drained waits until everything is on record, at most for the time. */
  async drained (most) { await this.#until(most, () => this.attempts.size === 0) }

  async #until (most, is) {
    const end = Date.now() + most
    while (!is() && Date.now() < end) await this.#sleep(end - Date.now())
  }

  counts () { return { waiting: this.#queue.size, busy: this.attempts.size } }
}
