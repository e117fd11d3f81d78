// The log: lines of text, or of JSON, on standard error, as the Go programs write
// them.

const levels = ['debug', 'info', 'warn', 'error']

export function logger (level, format, out = process.stderr) {
  const least = levels.indexOf(level)
  const write = (at, msg, more = {}) => {
    if (levels.indexOf(at) < least) return
    const entry = { time: new Date().toISOString(), level: at.toUpperCase(), msg, service: 'email', ...more }
    for (const [k, v] of Object.entries(entry)) if (v instanceof Error) entry[k] = reason(v)
    out.write(format === 'json'
      ? JSON.stringify(entry) + '\n'
      : Object.entries(entry).map(([k, v]) => `${k}=${/^[\w.:@/+-]+$/.test(String(v)) ? v : JSON.stringify(String(v))}`).join(' ') + '\n')
  }
  return Object.fromEntries(levels.map(l => [l, (msg, more) => write(l, msg, more)]))
}

/** reason is an error's text with those of the errors behind it. */
export function reason (error) {
  const parts = []
  for (let e = error; e && parts.length < 4; e = e.cause ?? e.errors?.[0]) if (e.message && !parts.includes(e.message)) parts.push(e.message)
  return parts.join(': ') || String(error)
}
