// Reads the committed records of partitions.
//
// The library's own stream isn't used, since its filter of aborted transactions
// knows one of them per producer and response, and fails on an abort marker that
// has no records. Its protocol layer gives all that is needed.

import { ConnectionPool, FetchIsolationLevels, fetchV13 } from '@platformatic/kafka'

const isTransactional = 1 << 4
const isControl = 1 << 5

/**
 * committed picks, of a fetched partition's batches, the records from an offset on
 * that belong to no aborted transaction: {records: [{offset, key, value,
 * timestamp}], next: the offset behind them}.
 */
export function committed (batches, aborted, from) {
  const waiting = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const open = new Set() // producers in a transaction that was aborted
  const records = []
  let next = from
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (waiting.length > 0 && waiting[0].firstOffset <= last) open.add(waiting.shift().producerId)
    if (last + 1n > next) next = last + 1n
    if (batch.attributes & isControl) {
      open.delete(batch.producerId) // an aborted one's end; that of another isn't in it
      continue
    }
    if (batch.attributes & isTransactional && open.has(batch.producerId)) continue
    for (const r of batch.records) {
      const offset = batch.firstOffset + BigInt(r.offsetDelta)
      if (offset < from) continue // compressed batches are sent whole
      records.push({ offset, key: r.key ?? null, value: r.value ?? null, timestamp: Number(batch.firstTimestamp + r.timestampDelta) })
    }
  }
  return { records, next }
}

/** PartitionReader reads some partitions of some topics, each from an offset on. */
export class PartitionReader {
  #client
  #pool
  #next = new Map() // "topic:partition" → {topic, partition, offset}

  /** client is a consumer or producer: it knows the partitions' leaders. */
  constructor (client, settings) {
    this.#client = client
    this.#pool = new ConnectionPool('email', { ...settings.kafka, connectTimeout: 5000, requestTimeout: 10_000 })
  }

  from (topic, partition, offset) { this.#next.set(`${topic}:${partition}`, { topic, partition, offset }) }

  /** position is the offset that is read next. */
  position (topic, partition) { return this.#next.get(`${topic}:${partition}`)?.offset }

  /**
   * fetch waits at most maxWait milliseconds for records, and returns them as
   * {topic, partition, offset, key, value, timestamp}.
   */
  async fetch (maxWait) {
    const topics = [...new Set([...this.#next.values()].map(n => n.topic))]
    const metadata = await this.#client.metadata({ topics })
    const byLeader = new Map()
    for (const n of this.#next.values()) {
      const { leader } = metadata.topics.get(n.topic).partitions[n.partition]
      if (!byLeader.has(leader)) byLeader.set(leader, [])
      byLeader.get(leader).push(n)
    }
    const out = await Promise.all([...byLeader].map(([leader, list]) => this.#ask(metadata, leader, list, maxWait)))
    return out.flat()
  }

  async #ask (metadata, leader, list, maxWait) {
    const connection = await this.#pool.get(metadata.brokers.get(leader))
    const request = list.map(n => ({
      topicId: metadata.topics.get(n.topic).id,
      partitions: [{ partition: n.partition, currentLeaderEpoch: -1, fetchOffset: n.offset, lastFetchedEpoch: -1, partitionMaxBytes: 1 << 20 }]
    }))
    let response
    try {
      response = await fetchV13.api.async(connection, maxWait, 1, 8 << 20, FetchIsolationLevels.READ_COMMITTED, 0, 0, request, [], '')
    } catch (error) {
      this.#client.clearMetadata() // a leader may have moved
      throw error
    }
    const names = new Map(list.map(n => [metadata.topics.get(n.topic).id, n.topic]))
    const out = []
    for (const t of response.responses) {
      const topic = names.get(t.topicId)
      for (const p of t.partitions) {
        const at = this.#next.get(`${topic}:${p.partitionIndex}`)
        const { records, next } = committed(p.records ?? [], p.abortedTransactions ?? [], at.offset)
        at.offset = next
        for (const r of records) out.push({ topic, partition: p.partitionIndex, ...r })
      }
    }
    return out
  }

  async close () { await this.#pool.close() }
}
