import type { JsonObject } from '../kernel/canonical-json.js'
import type { InputFault } from '../kernel/domain-error.js'
import { parseGlobalId } from '../kernel/ids.js'
import { isLabel, LABEL_CHARACTERS_MAX } from '../ledger/index.js'
import { FaultList } from './fault-list.js'
import type { ActorInput, ChangeInput, IngestInput, TargetInput } from './ingest-input.js'
import { canonicalInput, textFault } from './canonical-input.js'

/** How many events one call may record. */
export const EVENTS_PER_CALL_MAX = 1000
/** Longest identifier: actor, target, trace, idempotency key, name, changed field. */
export const IDENTIFIER_CHARACTERS_MAX = 255
/** Payload, metadata and changes together, as UTF-8 bytes of their canonical form. */
export const JSON_BYTES_MAX = 65_536
/** How far a caller's clock may be ahead of ours. */
export const OCCURRED_AT_AHEAD_MS_MAX = 5 * 60_000

const yearOneMs = Date.parse('0001-01-01T00:00:00.000Z')
const yearTenThousandMs = Date.parse('+010000-01-01T00:00:00.000Z')

/** An input without faults: what is absent is null, and the canonical text of its JSON is known. */
export interface ValidIngest {
  readonly action: string
  readonly category: string
  readonly actor: { readonly id: string | null; readonly email: string | null; readonly name: string | null } | null
  readonly targetId: string | null
  readonly targetType: string | null
  /** Plain UUID; not yet known to be a project of the workspace. */
  readonly projectId: string | null
  readonly payload: JsonObject
  readonly metadata: JsonObject | null
  readonly changes: readonly ChangeInput[] | null
  readonly occurredAt: Date | null
  readonly traceId: string | null
  readonly idempotencyKey: string | null
  /** UTF-8 bytes of the canonical forms of payload, metadata and changes. */
  readonly jsonBytes: number
  /** Canonical form of the input before defaults, without its idempotency key: what a repeat must agree with. */
  readonly contentText: string
}

const emailShape = /^[^\s@\p{Cc}]+@[^\s@.\p{Cc}]+(?:\.[^\s@.\p{Cc}]+)*$/u
const reservedActions = ['gdpr.', 'ledger.']

function isLongerThan(text: string, charactersMax: number): boolean {
  // A character outside the basic plane counts once; the exact count matters only where the cheap bound is passed.
  return text.length > charactersMax && Array.from(text.slice(0, charactersMax * 2 + 2)).length > charactersMax
}

/** ledger format HL1, section 2: such a text stays for ever, so it must not name a person; `@` is what e-mail has. */
function checkLabel(text: string, field: string, faults: FaultList): boolean {
  const before = faults.length
  const wrong = textFault(text)
  if (wrong !== null) faults.add(field, wrong)
  else if (text.trim() === '') faults.add(field, 'must not be blank.')
  else if (isLongerThan(text, LABEL_CHARACTERS_MAX))
    faults.add(field, `must have at most ${LABEL_CHARACTERS_MAX} characters.`)
  else if (text.includes('@')) faults.add(field, 'must not hold @: it is kept for ever and must not name a person.')
  else if (!isLabel(text)) faults.add(field, 'must hold printable characters only.')
  return faults.length === before
}

function checkIdentifier(
  text: string | null | undefined,
  field: string,
  faults: FaultList,
  emptyAllowed = false,
): void {
  if (text === null || text === undefined) return
  const wrong = textFault(text)
  if (wrong !== null) faults.add(field, wrong)
  else if (text === '' && !emptyAllowed) faults.add(field, 'must not be empty; leave it out instead.')
  else if (isLongerThan(text, IDENTIFIER_CHARACTERS_MAX))
    faults.add(field, `must have at most ${IDENTIFIER_CHARACTERS_MAX} characters.`)
}

function checkActor(actor: ActorInput | null | undefined, prefix: string, faults: FaultList): ValidIngest['actor'] {
  if (actor === null || actor === undefined) return null
  checkIdentifier(actor.id, `${prefix}actor.id`, faults)
  const before = faults.length
  checkIdentifier(actor.email, `${prefix}actor.email`, faults)
  if (typeof actor.email === 'string' && faults.length === before && !emailShape.test(actor.email))
    faults.add(`${prefix}actor.email`, 'must be an e-mail address.')
  checkIdentifier(actor.name, `${prefix}actor.name`, faults, true)
  return { id: actor.id ?? null, email: actor.email ?? null, name: actor.name ?? null }
}

function checkTarget(target: TargetInput | null | undefined, prefix: string, faults: FaultList): void {
  if (target === null || target === undefined) return
  checkIdentifier(target.id, `${prefix}target.id`, faults)
  if (target.type !== null && target.type !== undefined) checkLabel(target.type, `${prefix}target.type`, faults)
}

function checkProject(id: string | null | undefined, field: string, faults: FaultList): string | null {
  if (id === null || id === undefined) return null
  const parsed = parseGlobalId(id)
  if (parsed?.kind === 'project') return parsed.uuid
  faults.add(field, 'must be an id that begins with prj_.')
  return null
}

function scanObject(value: JsonObject | null | undefined, field: string, faults: FaultList): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'object' && !Array.isArray(value)) return canonicalInput(value, field, faults)
  faults.add(field, 'must be a JSON object.')
  return ''
}

function scanChanges(changes: IngestInput['changes'], field: string, faults: FaultList): string {
  if (changes === null || changes === undefined) return ''
  let text = '['
  for (const [index, change] of changes.entries()) {
    if (faults.isFull) break
    const at = `${field}[${index}]`
    checkIdentifier(change.field, `${at}.field`, faults)
    if (index > 0) text += ','
    text += `{"field":${JSON.stringify(change.field)}`
    // The array is level 1, the change level 2.
    if (change.new !== undefined) text += `,"new":${canonicalInput(change.new, `${at}.new`, faults, 3)}`
    if (change.old !== undefined) text += `,"old":${canonicalInput(change.old, `${at}.old`, faults, 3)}`
    text += '}'
  }
  return `${text}]`
}

function checkTime(occurredAt: Date | null | undefined, now: Date, field: string, faults: FaultList): void {
  if (occurredAt === null || occurredAt === undefined) return
  const ms = occurredAt.getTime()
  if (!(ms >= yearOneMs && ms < yearTenThousandMs)) faults.add(field, 'must be a time in the years 0001 to 9999.')
  else if (ms > now.getTime() + OCCURRED_AT_AHEAD_MS_MAX)
    faults.add(field, `must not be more than ${OCCURRED_AT_AHEAD_MS_MAX / 60_000} minutes ahead.`)
}

/** The size fault names the largest of the three, which is where a caller will look first. */
function checkSize(
  texts: Readonly<Record<'payload' | 'metadata' | 'changes', string>>,
  prefix: string,
  faults: FaultList,
) {
  let total = 0
  let largest = { field: 'payload', bytes: -1 }
  for (const [field, text] of Object.entries(texts)) {
    const bytes = Buffer.byteLength(text)
    total += bytes
    if (bytes > largest.bytes) largest = { field, bytes }
  }
  if (total > JSON_BYTES_MAX)
    faults.add(
      prefix + largest.field,
      `payload, metadata and changes must have at most ${JSON_BYTES_MAX} bytes together.`,
    )
  return total
}

function textMembers(members: Readonly<Record<string, string | null | undefined>>): string {
  let text = '{'
  for (const [member, value] of Object.entries(members)) {
    if (value === null || value === undefined) continue
    text += `${text.length > 1 ? ',' : ''}"${member}":${JSON.stringify(value)}`
  }
  return `${text}}`
}

function contentText(input: IngestInput, texts: { payload: string; metadata: string; changes: string }): string {
  // Members in the order RFC 8785 asks for, those that were not sent left out.
  const members: readonly (readonly [string, string])[] = [
    ['action', JSON.stringify(input.action)],
    ['actor', input.actor ? textMembers({ email: input.actor.email, id: input.actor.id, name: input.actor.name }) : ''],
    ['category', JSON.stringify(input.category)],
    ['changes', texts.changes],
    ['metadata', texts.metadata],
    ['occurredAt', input.occurredAt ? JSON.stringify(input.occurredAt) : ''],
    ['payload', texts.payload],
    ['projectId', input.projectId ? JSON.stringify(input.projectId) : ''],
    ['target', input.target ? textMembers({ id: input.target.id, type: input.target.type }) : ''],
    ['traceId', typeof input.traceId === 'string' ? JSON.stringify(input.traceId) : ''],
  ]
  return `{${members.flatMap(([member, text]) => (text === '' ? [] : [`"${member}":${text}`])).join(',')}}`
}

/**
 * Checks one input, received at `now`, against the rules of recording; faults are added in the order of the input's
 * fields, each under `prefix` (`''` or `events[3].`). Answers null where there was a fault. Pure, never throws.
 */
export function checkIngest(input: IngestInput, now: Date, prefix: string, faults: FaultList): ValidIngest | null {
  const before = faults.length
  if (checkLabel(input.action, `${prefix}action`, faults)) {
    const reserved = reservedActions.find((start) => input.action.startsWith(start))
    if (reserved !== undefined)
      faults.add(`${prefix}action`, `must not begin with ${reserved}, which is the service's own.`)
  }
  if (checkLabel(input.category, `${prefix}category`, faults) && input.category === 'system')
    faults.add(`${prefix}category`, "must not be system, which is the service's own.")
  const actor = checkActor(input.actor, prefix, faults)
  checkTarget(input.target, prefix, faults)
  const projectId = checkProject(input.projectId, `${prefix}projectId`, faults)
  const texts = {
    payload: scanObject(input.payload, `${prefix}payload`, faults),
    metadata: scanObject(input.metadata, `${prefix}metadata`, faults),
    changes: scanChanges(input.changes, `${prefix}changes`, faults),
  }
  const jsonBytes = checkSize(texts, prefix, faults)
  checkTime(input.occurredAt, now, `${prefix}occurredAt`, faults)
  checkIdentifier(input.traceId, `${prefix}traceId`, faults)
  checkIdentifier(input.idempotencyKey, `${prefix}idempotencyKey`, faults)
  // A full list takes no more, so an equal length there doesn't mean that this input is sound.
  if (faults.length > before || faults.isFull) return null
  return {
    action: input.action,
    category: input.category,
    actor,
    targetId: input.target?.id ?? null,
    targetType: input.target?.type ?? null,
    projectId,
    payload: input.payload ?? {},
    metadata: input.metadata ?? null,
    changes: input.changes ?? null,
    occurredAt: input.occurredAt ?? null,
    traceId: input.traceId ?? null,
    idempotencyKey: input.idempotencyKey ?? null,
    jsonBytes,
    // Few inputs come with an idempotency key, and nothing else asks for it.
    get contentText() {
      return contentText(input, texts)
    },
  }
}

/**
 * One input, received at `now`. `textFaults` are those found in the request's text, where duplicate members and numbers
 * a double can't hold are still to be seen; they come first. Throws `BAD_USER_INPUT`.
 */
export function validateIngestEvent(
  input: IngestInput,
  now: Date,
  textFaults: readonly InputFault[] = [],
): ValidIngest {
  const faults = new FaultList()
  for (const { field, message } of textFaults) faults.add(field, message)
  const valid = checkIngest(input, now, '', faults)
  faults.throwIfAny()
  if (valid === null) throw new Error('an input without faults is valid')
  return valid
}

/**
 * 1 to {@link EVENTS_PER_CALL_MAX} inputs, the n-th received at `receivedAt[n]`; faults of the n-th stand under
 * `events[n].`. Throws `BAD_USER_INPUT` for all of them together.
 */
export function validateIngestEvents(
  inputs: readonly IngestInput[],
  receivedAt: readonly Date[],
  textFaults: readonly InputFault[] = [],
): ValidIngest[] {
  const faults = new FaultList()
  for (const { field, message } of textFaults) faults.add(field, message)
  if (inputs.length < 1 || inputs.length > EVENTS_PER_CALL_MAX)
    faults.add('events', `must hold 1 to ${EVENTS_PER_CALL_MAX} events.`)
  const valid: ValidIngest[] = []
  for (const [index, input] of inputs.slice(0, EVENTS_PER_CALL_MAX).entries()) {
    if (faults.isFull) break
    const one = checkIngest(input, receivedAt[index]!, `events[${index}].`, faults)
    if (one !== null) valid.push(one)
  }
  faults.throwIfAny()
  return valid
}
