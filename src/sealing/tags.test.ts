import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { newSecretKey, secretKey } from './secret-box.js'
import { equalityTag, keyedDigest, subjectTag } from './tags.js'

const tagKey = secretKey(Buffer.alloc(32, 7))
const workspaceId = '0198c000-0000-7000-8000-0000000000a1'

describe('equalityTag', () => {
  it('is the first 16 bytes of HMAC-SHA-256 over kind, NUL and value', () => {
    const expected = createHmac('sha256', Buffer.alloc(32, 7)).update('actor.id\0u_17').digest().subarray(0, 16)
    expect(equalityTag(tagKey, 'actor.id', 'u_17')).toEqual(expected)
  })

  it('finds an e-mail address whatever its case, and ids only as they are', () => {
    expect(equalityTag(tagKey, 'actor.email', 'Ada@Example.COM')).toEqual(
      equalityTag(tagKey, 'actor.email', 'ada@example.com'),
    )
    expect(equalityTag(tagKey, 'actor.id', 'U_17')).not.toEqual(equalityTag(tagKey, 'actor.id', 'u_17'))
  })

  it('keeps kinds and companies apart', () => {
    const kinds = ['actor.id', 'actor.email', 'target.id', 'traceId'] as const
    const tags = [tagKey, newSecretKey()].flatMap((key) =>
      kinds.map((kind) => equalityTag(key, kind, 'x').toString('hex')),
    )
    expect(new Set(tags).size).toBe(8)
  })
})

describe('subjectTag', () => {
  const of = (actorId: string | null, actorEmail: string | null, workspace = workspaceId): string =>
    subjectTag(tagKey, { workspaceId: workspace, actorId, actorEmail }).toString('hex')

  it('tells subjects apart by id and e-mail as given, wherever the line between them runs', () => {
    const tags = [
      of('a', 'b'),
      of('ab', null),
      of(null, 'ab'),
      of('a', null),
      of(null, 'b'),
      of('', 'ab'),
      of('A', 'b'),
    ]
    expect(new Set(tags).size).toBe(tags.length)
  })

  it("is the actor's in every workspace, and the workspace's own without an actor", () => {
    const other = '0198c000-0000-7000-8000-0000000000a2'
    expect(of('a', 'b', other)).toBe(of('a', 'b'))
    expect(of(null, null, other)).not.toBe(of(null, null))
  })
})

it('keyedDigest keeps purposes apart', () => {
  expect(keyedDigest(tagKey, 'idempotency key', 'x')).not.toEqual(keyedDigest(tagKey, 'fingerprint', 'x'))
  expect(keyedDigest(tagKey, 'fingerprint', 'x')).toHaveLength(32)
})
