import { OTHER_WORKSPACE } from './chain-builder.js'
import { changeBody, digests, first, idOf, makeWorld, member, other, rewritten, type TamperCase } from './tampering.js'

/** Tampering with where events stand. */
export const sequenceCases: readonly TamperCase[] = [
  {
    name: 'an event deleted',
    reason: 'MISSING_EVENT',
    sequence: 5,
    outcome: 'INCOMPLETE',
    lines: (l) => void l.splice(4, 1),
  },
  { name: 'the first event deleted', reason: 'MISSING_EVENT', sequence: 1, lines: (l) => void l.shift() },
  {
    name: 'two events swapped',
    reason: 'MISSING_EVENT',
    sequence: 4,
    lines: (l) => void ([l[3], l[4]] = [l[4]!, l[3]!]),
  },
  { name: 'an event repeated', reason: 'MISSING_EVENT', sequence: 5, lines: (l) => void l.splice(4, 0, l[3]!) },
  { name: 'a sequence changed', reason: 'MISSING_EVENT', sequence: 5, lines: (l) => void (l[4]!.sequence = 6) },
  {
    name: 'a sequence that is no number',
    reason: 'MISSING_EVENT',
    sequence: 5,
    lines: (l) => void (l[4]!.sequence = 5.5),
  },
  {
    name: 'prevHash changed',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 5,
    lines: (l) => void (l[4]!.prevHash = other(l[4]!.prevHash!)),
  },
  {
    name: 'prevHash null in the middle',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 5,
    lines: (l) => void (l[4]!.prevHash = null),
  },
  {
    name: 'zeros before the first event',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 1,
    lines: (l) => void (l[0]!.prevHash = '0'.repeat(64)),
  },
  {
    name: 'prevHash not hex',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 5,
    lines: (l) => void (l[4]!.prevHash = 'x'),
  },
]

/** Tampering with bodies, terms and hashes. */
export const hashCases: readonly TamperCase[] = [
  { name: 'hash changed', reason: 'HASH_MISMATCH', sequence: 5, lines: (l) => void (l[4]!.hash = other(l[4]!.hash)) },
  {
    name: 'hash in capitals',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    lines: (l) => void (l[4]!.hash = l[4]!.hash.toUpperCase()),
  },
  {
    name: 'action changed in the body',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    lines: (l) => changeBody(l, 5, member('action', 'user.logout')),
  },
  {
    name: 'time changed in the body',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    lines: (l) => changeBody(l, 5, member('occurredAt', '2026-01-01T00:00:00.000Z')),
  },
  {
    name: 'body of another event',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    lines: (l) => changeBody(l, 5, () => l[3]!.body),
  },
  { name: 'body that is no JSON', reason: 'HASH_MISMATCH', sequence: 5, lines: (l) => changeBody(l, 5, () => '{') },
  {
    name: 'body missing',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    lines: (l) => void Reflect.deleteProperty(l[4]!, 'body'),
  },
  { name: 'term changed', reason: 'HASH_MISMATCH', sequence: 5, lines: (l) => void (l[4]!.term = 2) },
  {
    name: 'term named twice',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    text: (l) => l.with(4, l[4]!.replace('"term":1', '"term":2,"term":1')),
  },
  {
    name: 'an event of another workspace',
    reason: 'HASH_MISMATCH',
    sequence: 1,
    text: () => makeWorld({ workspaceId: OTHER_WORKSPACE }).export(),
  },
  { name: 'a line that is no JSON', reason: 'HASH_MISMATCH', sequence: 5, text: (l) => l.with(4, l[4]!.slice(1)) },
  { name: 'a line that is no object', reason: 'HASH_MISMATCH', sequence: 5, text: (l) => l.with(4, '[]') },
  {
    name: 'body with a space, linked again',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, (t) => t.replace(',', ', ')),
  },
  { name: 'body with another member', reason: 'HASH_MISMATCH', sequence: 5, world: rewritten(5, member('note', 'x')) },
  {
    name: 'body without a member',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, (t) => t.replace('"project":null,', '')),
  },
  {
    name: 'body with a member twice',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, (t) => t.replace('"v":1', '"v":1,"v":1')),
  },
  { name: 'body of another version', reason: 'HASH_MISMATCH', sequence: 5, world: rewritten(5, member('v', 2)) },
  {
    name: 'digests out of order',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(
      5,
      digests((d) => d.toReversed()),
    ),
  },
  {
    name: 'a digest twice',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(
      5,
      digests((d) => [d[0]!, ...d]),
    ),
  },
  {
    name: 'a digest of 31 bytes',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(
      5,
      digests(() => [Buffer.alloc(31).toString('base64')]),
    ),
  },
  {
    name: 'a person as the action',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, member('action', 'u@example.com')),
  },
  {
    name: 'a day that does not exist',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, member('occurredAt', '2026-02-30T00:00:00.000Z')),
  },
  {
    name: 'a time without milliseconds',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, member('receivedAt', '2026-02-03T00:00:00Z')),
  },
  {
    name: 'an id in capitals',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, (t) => t.replace('7abc', '7ABC')),
  },
  {
    name: 'an id used twice',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: (w) => rewritten(5, member('id', idOf(w, 2)))(w),
  },
  {
    name: 'a system member that is none',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    world: rewritten(5, (t) => t.replace('"targetType"', '"system":7,"targetType"')),
  },
  {
    name: 'an erasure without its root',
    reason: 'HASH_MISMATCH',
    sequence: 8,
    world: rewritten(8, (t) => t.replace(/,"root":"[^"]*"/, '')),
  },
]

/** Tampering with values and salts. */
export const disclosureCases: readonly TamperCase[] = [
  {
    name: 'a value changed',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    lines: (l) => void (first(l[4]!.disclosures).value = 'eve'),
  },
  {
    name: 'a salt changed',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    lines: (l) => void (first(l[4]!.disclosures).salt = other(first(l[4]!.disclosures).salt)),
  },
  {
    name: 'a salt of 15 bytes',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    lines: (l) => void (first(l[4]!.disclosures).salt = '00'.repeat(15)),
  },
  {
    name: 'a path changed',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    lines: (l) => void (first(l[4]!.disclosures).path = 'actor.name'),
  },
  {
    name: 'a disclosure added',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 7,
    lines: (l) => void l[6]!.disclosures.push(first(l[4]!.disclosures)),
  },
  {
    name: 'a disclosure twice',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    lines: (l) => void l[4]!.disclosures.push(first(l[4]!.disclosures)),
  },
  {
    name: 'disclosures of two events swapped',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 4,
    lines: (l) => void ([l[3]!.disclosures, l[4]!.disclosures] = [l[4]!.disclosures, l[3]!.disclosures]),
  },
  {
    name: 'an integer no double holds',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    text: (l) => l.with(4, l[4]!.replace('"value":4', '"value":9007199254740993')),
  },
  {
    name: 'a member of a value twice',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    text: (l) => l.with(4, l[4]!.replace('"value":4', '"value":{"a":1,"a":2}')),
  },
  {
    name: 'a lone surrogate',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    text: (l) => l.with(4, l[4]!.replace('"203.0.113.9"', '"\\ud800"')),
  },
  {
    name: 'a value missing',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 5,
    text: (l) => l.with(4, l[4]!.replace('"value":4,', '')),
  },
  {
    name: 'a disclosure deleted by hand',
    reason: 'MISSING_DISCLOSURE',
    sequence: 5,
    lines: (l) => void l[4]!.disclosures.pop(),
  },
  {
    name: 'all disclosures deleted by hand',
    reason: 'MISSING_DISCLOSURE',
    sequence: 5,
    lines: (l) => void (l[4]!.disclosures = []),
  },
]
