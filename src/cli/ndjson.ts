import { createHash } from 'node:crypto'
import { canonicalJson } from '../kernel/canonical-json.js'
import { scanJson } from '../kernel/strict-json.js'
import type { IngestEventInput } from '../sdk/index.js'

/**
 * The event of one line, `IngestEventInput` as JSON, or what is wrong with the line. Members are not looked at here:
 * the service's answer is the one that counts. But what parsing would lose without a word (a second member of a name, a
 * number no double can hold) is refused, since the service never sees the line itself.
 */
export function eventOfLine(line: string): IngestEventInput | { readonly fault: string } {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { fault: 'is not JSON.' }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'is not a JSON object.' }
  const { faults } = scanJson(line)
  if (faults.length > 0) return { fault: faults.map(({ path, message }) => `${path} ${message}`).join(' ') }
  return value as IngestEventInput
}

/**
 * Gives idempotency keys to the events of one input that lack one, so that recording the same input again records
 * nothing twice. The key is a digest of the event and how many equal ones came before it. An event without a time gets
 * none: the same text on another day is another event.
 */
export class ContentKeys {
  readonly #seen = new Map<string, number>()

  /** The event with a key, or as it is where it has one or can't be given one. */
  withKey(event: IngestEventInput): IngestEventInput {
    const known = event.idempotencyKey ?? null
    if (known !== null || typeof event.occurredAt !== 'string') return event
    let text: string
    try {
      text = canonicalJson(event)
    } catch {
      // Not fit to be recorded; the service says why.
      return event
    }
    const digest = createHash('sha256').update(text).digest('base64url')
    const count = (this.#seen.get(digest) ?? 0) + 1
    this.#seen.set(digest, count)
    return { ...event, idempotencyKey: `content:${digest}:${count}` }
  }
}
