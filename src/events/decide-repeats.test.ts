import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KnownKey } from './committer.store.js'
import { decideRepeats, type Decision } from './decide-repeats.js'
import type { SealedDraft } from './event-draft.js'

interface Event {
  readonly workspace: number
  readonly key: number | null
  readonly content: number
}

const digest = (kind: number, value: number): Buffer => Buffer.alloc(32, kind * 100 + value)
let made = 0
// The decision looks at nothing else of a draft.
const draftOf = ({ workspace, key, content }: Event): SealedDraft =>
  ({
    id: `event-${++made}`,
    workspaceId: `workspace-${workspace}`,
    idempotency:
      key === null ? null : { keyDigest: digest(1, key), fingerprint: digest(2, content), field: 'idempotencyKey' },
  }) as SealedDraft

const events = fc.array(
  fc.array(
    fc.record({
      workspace: fc.integer({ min: 1, max: 2 }),
      key: fc.option(fc.integer({ min: 1, max: 4 })),
      content: fc.integer({ min: 1, max: 2 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  { maxLength: 8 },
)

/** What each draft ends up as: the id of the event it stands for; null for a refused request. */
function resultOf(decision: Decision): readonly string[] | null {
  if ('conflict' in decision) return null
  return decision.steps.map(({ draft, repeats }) => {
    if (repeats === null) return draft.id
    return 'known' in repeats ? repeats.known.eventId : repeats.draft.id
  })
}

/** The same requests committed one by one, each seeing what those before it have stored. */
function oneByOne(requests: readonly (readonly SealedDraft[])[]): (readonly string[] | null)[] {
  const stored: KnownKey[] = []
  return requests.map((request) => {
    const [decision] = decideRepeats([request], stored)
    if (decision !== undefined && 'steps' in decision)
      for (const { draft, repeats } of decision.steps) {
        if (repeats !== null || draft.idempotency === null) continue
        const { keyDigest, fingerprint } = draft.idempotency
        stored.push({
          workspaceId: draft.workspaceId,
          keyDigest,
          fingerprint,
          eventId: draft.id,
          sequence: stored.length + 1,
          hash: Buffer.alloc(32),
        })
      }
    return resultOf(decision!)
  })
}

test('a batch decides as if its requests had been committed one by one', () => {
  fc.assert(
    fc.property(events, (plan) => {
      const requests = plan.map((request) => request.map(draftOf))
      expect(decideRepeats(requests, []).map(resultOf)).toEqual(oneByOne(requests))
    }),
    { numRuns: 500 },
  )
})

test('a key means one content in a workspace, whatever comes', () => {
  fc.assert(
    fc.property(events, (plan) => {
      const meaning = new Map<string, string>()
      for (const decision of decideRepeats(
        plan.map((request) => request.map(draftOf)),
        [],
      )) {
        if ('conflict' in decision) continue
        for (const { draft } of decision.steps) {
          if (draft.idempotency === null) continue
          const name = draft.workspaceId + draft.idempotency.keyDigest.toString('hex')
          const content = draft.idempotency.fingerprint.toString('hex')
          expect(meaning.get(name) ?? content).toBe(content)
          meaning.set(name, content)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('a refused request leaves its other keys unused', () => {
  const [first, refused, third] = decideRepeats(
    [
      [draftOf({ workspace: 1, key: 1, content: 1 })],
      [draftOf({ workspace: 1, key: 2, content: 1 }), draftOf({ workspace: 1, key: 1, content: 2 })],
      [draftOf({ workspace: 1, key: 2, content: 2 })],
    ],
    [],
  )
  expect(first).toHaveProperty('steps')
  expect(refused).toHaveProperty('conflict')
  expect(third).toMatchObject({ steps: [{ repeats: null }] })
})
