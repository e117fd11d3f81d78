// Kafka transactions with offsets: records and the group's position are committed
// together or not at all.
//
// The library's own transactions aren't used: they can't be begun under an id that
// was used before, which a restart does, and they leave out the group's instance.
// Its protocol layer has all that is needed; the versions are those that every
// Kafka from 2.8 on speaks.

import {
  ConnectionPool, FindCoordinatorKeyTypes, addOffsetsToTxnV3, addPartitionsToTxnV3, endTxnV3, findCoordinatorV4,
  initProducerIdV4, produceV9, txnOffsetCommitV3
} from '@platformatic/kafka'

/** Errors after which the same request is sent again, of a coordinator or leader that is found anew. */
const passing = new Set([
  'CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS', 'COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR',
  'LEADER_NOT_AVAILABLE', 'NOT_LEADER_OR_FOLLOWER', 'UNKNOWN_TOPIC_OR_PARTITION'
])

export class Transactor {
  #client
  #pool
  #id
  #timeout
  #producerId
  #epoch
  #sequences = new Map() // "topic:partition" → of the next record
  #coordinators = new Map()

  /** client knows the brokers and the partitions' leaders. */
  constructor (client, settings, transactionalId, timeout) {
    this.#client = client
    this.#id = transactionalId
    this.#timeout = timeout
    this.#pool = new ConnectionPool('email', { ...settings.kafka, connectTimeout: 5000, requestTimeout: timeout })
  }

  /** begin takes the id over: a process that had it can't commit any more, and what it left open is aborted. */
  async begin () {
    const r = await this.#coordinated('TRANSACTION', this.#id, c => initProducerIdV4.api.async(c, this.#id, this.#timeout, -1n, -1))
    this.#producerId = r.producerId
    this.#epoch = r.producerEpoch
    this.#sequences.clear()
  }

  /**
   * commit writes messages ({topic, partition, key, value}) and the offsets of a
   * group's member ({topic, partition, offset}: what is read next). When it fails,
   * the outcome may be unknown: begin anew, and read what is committed.
   */
  async commit (messages, member, offsets) {
    try {
      if (messages.length > 0) {
        const topics = [...groupBy(messages, m => m.topic)].map(([name, list]) => ({ name, partitions: [...new Set(list.map(m => m.partition))] }))
        const transaction = { transactionalId: this.#id, producerId: this.#producerId, producerEpoch: this.#epoch, topics }
        await this.#transactional(c => addPartitionsToTxnV3.api.async(c, [transaction]))
        await this.#produce(messages)
      }
      await this.#transactional(c => addOffsetsToTxnV3.api.async(c, this.#id, this.#producerId, this.#epoch, member.groupId))
      const topics = [...groupBy(offsets, o => o.topic)].map(([name, list]) => ({
        name,
        partitions: list.map(o => ({ partitionIndex: o.partition, committedOffset: o.offset, committedLeaderEpoch: -1, committedMetadata: null }))
      }))
      await this.#coordinated('GROUP', member.groupId, c => txnOffsetCommitV3.api.async(
        c, this.#id, member.groupId, this.#producerId, this.#epoch, member.generationId, member.memberId, member.groupInstanceId, topics))
    } catch (error) {
      await this.#end(false).catch(() => {}) // else it times out, or the next begin ends it
      throw error
    }
    await this.#end(true)
  }

  async #end (commit) {
    await this.#transactional(c => endTxnV3.api.async(c, this.#id, this.#producerId, this.#epoch, commit))
  }

  async #produce (messages) {
    const options = {
      transactionalId: this.#id,
      producerId: this.#producerId,
      producerEpoch: this.#epoch,
      sequences: { getWithDefault: (key, missing) => this.#sequences.get(key) ?? missing }
    }
    await this.#patiently(async () => {
      const { brokers, topics } = await this.#client.metadata({ topics: [...new Set(messages.map(m => m.topic))] })
      const byLeader = groupBy(messages, m => topics.get(m.topic).partitions[m.partition].leader)
      await Promise.all([...byLeader].map(async ([leader, list]) => {
        const connection = await this.#pool.get(brokers.get(leader))
        await produceV9.api.async(connection, -1, this.#timeout, list, options)
      }))
    }, () => this.#client.clearMetadata())
    for (const m of messages) {
      const key = `${m.topic}:${m.partition}`
      this.#sequences.set(key, (this.#sequences.get(key) ?? 0) + 1)
    }
  }

  #transactional (send) { return this.#coordinated('TRANSACTION', this.#id, send) }

  /** coordinated sends to the coordinator of a transactional id or a group. */
  async #coordinated (type, key, send) {
    const name = type + key
    return await this.#patiently(async () => {
      if (!this.#coordinators.has(name)) {
        const { brokers } = await this.#client.metadata({ topics: [] })
        const any = await this.#pool.getFirstAvailable([...brokers.values()])
        const { coordinators } = await findCoordinatorV4.api.async(any, FindCoordinatorKeyTypes[type], [key])
        this.#coordinators.set(name, { host: coordinators[0].host, port: coordinators[0].port })
      }
      return await send(await this.#pool.get(this.#coordinators.get(name)))
    }, () => this.#coordinators.delete(name))
  }

  /** patiently tries again after passing errors, for as long as a transaction may last. */
  async #patiently (attempt, refresh) {
    const end = Date.now() + this.#timeout
    for (let pause = 5; ; pause = Math.min(500, 2 * pause)) {
      try {
        return await attempt()
      } catch (error) {
        const all = error.errors ?? [error]
        if (!all.every(e => passing.has(e.apiId)) || Date.now() > end) throw error
        refresh()
        await new Promise(resolve => setTimeout(resolve, pause))
      }
    }
  }

  async close () { await this.#pool.close() }
}

/** groupBy is Map.groupBy, which Node.js 20 doesn't have. */
function groupBy (list, by) {
  const out = new Map()
  for (const v of list) {
    const key = by(v)
    if (!out.has(key)) out.set(key, [])
    out.get(key).push(v)
  }
  return out
}
