// Numbers of records keep their digits: a BIGINT doesn't fit in a JavaScript
// number, and money must not become a float.

/** Digits is a JSON number as it was written. */
export class Digits {
  constructor (text) { this.text = text }
}

const token = /\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([[\]{},:]))/y

/**
 * parse reads a JSON object. Its numbers, at any depth, are Digits; what is wrong
 * with the text is an Error.
 */
export function parse (text) {
  JSON.parse(text) // its errors are good ones, and below the text may be trusted
  token.lastIndex = 0
  const next = () => token.exec(text)
  const value = t => {
    if (t[1] !== undefined) return JSON.parse(t[1])
    if (t[2] !== undefined) return new Digits(t[2])
    if (t[3] !== undefined) return JSON.parse(t[3])
    if (t[4] === '[') {
      const out = []
      for (let e = next(); e[4] !== ']'; e = next()) if (e[4] !== ',') out.push(value(e))
      return out
    }
    const out = Object.create(null)
    for (let e = next(); e[4] !== '}'; e = next()) {
      if (e[4] === ',') continue
      next() // the colon
      out[JSON.parse(e[1])] = value(next())
    }
    return out
  }
  const out = value(next())
  if (out === null || typeof out !== 'object' || out instanceof Digits || Array.isArray(out)) throw new Error('not a JSON object')
  return out
}

/** stringify writes what parse reads; undefined members are left out. */
export function stringify (v) {
  if (v instanceof Digits) return v.text
  if (Array.isArray(v)) return '[' + v.map(stringify).join(',') + ']'
  if (v !== null && typeof v === 'object') {
    return '{' + Object.entries(v).filter(([, m]) => m !== undefined).map(([k, m]) => JSON.stringify(k) + ':' + stringify(m)).join(',') + '}'
  }
  return JSON.stringify(v ?? null)
}

/** fields gives an object's members by lower-case name: SQL writes upper case, programs camel case. */
export function fields (object) {
  const out = Object.create(null)
  for (const [name, v] of Object.entries(object)) out[name.toLowerCase()] = v
  return out
}
