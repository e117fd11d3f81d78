// The figures of /metrics, in Prometheus' text format.

export class Metrics {
  commits = 0
  lives = 0
  connectFailures = 0
  up = 0
  #attempts = new Map(['delivered', 'rejected', 'failed', 'unknown', 'not-started'].map(k => [k, 0]))
  #poison = new Map()

  attempt (outcome) { this.#attempts.set(outcome, (this.#attempts.get(outcome) ?? 0) + 1) }

  poison (topic) { this.#poison.set(topic, (this.#poison.get(topic) ?? 0) + 1) }

  text ({ waiting, busy }) {
    const out = []
    const metric = (name, type, help, ...samples) => out.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map(([labels, v]) => `${name}${labels} ${v}`))
    metric('email_attempts_total', 'counter', 'Attempts to send a mail, by outcome.', ...[...this.#attempts].map(([k, v]) => [`{outcome="${k}"}`, v]))
    metric('email_smtp_connect_failures_total', 'counter', 'Times that no connection to the SMTP server could be made.', ['', this.connectFailures])
    metric('email_smtp_up', 'gauge', '1 when the last connection to the SMTP server was made.', ['', this.up])
    metric('email_waiting', 'gauge', 'Mails of this replica\'s partitions that wait to be sent.', ['', waiting])
    metric('email_under_way', 'gauge', 'Mails in the hands of this replica\'s workers.', ['', busy])
    metric('transact_poison_records_total', 'counter', 'Records that could not be processed and were passed by.', ...[...this.#poison].map(([t, v]) => [`{group="email",topic="${t}"}`, v]))
    metric('transact_commits_total', 'counter', 'Transactions that were committed.', ['{group="email"}', this.commits])
    metric('transact_lives_total', 'counter', 'Times that the Kafka clients were made anew after an error.', ['{group="email"}', this.lives])
    metric('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', ['', process.memoryUsage.rss()])
    metric('nodejs_heap_size_used_bytes', 'gauge', 'Heap in use.', ['', process.memoryUsage().heapUsed])
    return out.join('\n') + '\n'
  }
}
