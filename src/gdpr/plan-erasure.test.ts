import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../kernel/canonical-json.js'
import { disclosureDigest, type Disclosure } from '../ledger/index.js'
import { contentMatcher } from './personal-content.js'
import { type OpenedEvent, planErasure } from './plan-erasure.js'

const at = (path: string, value: JsonValue): Disclosure => ({ path, value, salt: Buffer.alloc(16, path.length) })
const mentions = contentMatcher(['u-1'])
const event = (more: Partial<OpenedEvent>): OpenedEvent => ({
  sequence: 3,
  id: 'x',
  isOwn: false,
  identity: [at('actor.id', 'u-1'), at('actor.name', 'Ana')],
  content: [at('payload.a', 1), at('payload.by', 'Ana did'), at('target.id', 'u-1'), at('traceId', 't')],
  ...more,
})

describe('what is erased of an event', () => {
  it('DELETE takes everything of the own', () => {
    const own = event({ isOwn: true })
    expect(planErasure('DELETE', own, mentions)).toEqual({
      sequence: 3,
      isOwn: true,
      digests: [...own.identity!, ...own.content!].map(disclosureDigest),
      identity: null,
      content: null,
      actor: true,
      target: true,
      trace: true,
    })
  })

  it('ANONYMIZE takes the actor, the target that it is, and what names it by what the event knows of it', () => {
    const plan = planErasure('ANONYMIZE', event({ isOwn: true }), mentions)!
    expect(plan).toMatchObject({ identity: null, actor: true, target: true, trace: false })
    expect((plan.content as Disclosure[]).map(({ path }) => path)).toEqual(['payload.a', 'traceId'])
  })

  it('ANONYMIZE has content sealed anew even where all of it stays: the key goes', () => {
    const content = [at('payload.a', 1)]
    expect(planErasure('ANONYMIZE', event({ isOwn: true, content }), mentions)!.content).toEqual(content)
  })

  it("takes from others' events only what mentions it", () => {
    const identity = [at('actor.id', 'boss')]
    const plan = planErasure('DELETE', event({ identity }), mentions)!
    expect(plan).toMatchObject({ identity: 'same', actor: false, target: true, trace: false })
    expect(plan.digests).toHaveLength(1)
  })

  it('is nothing where nothing is about the subject', () => {
    const stranger = event({ identity: [at('actor.id', 'u-12')], content: [at('payload.a', 'u-12')] })
    expect(planErasure('DELETE', stranger, mentions)).toBeNull()
    expect(planErasure('DELETE', event({ isOwn: true, identity: null, content: null }), mentions)).toBeNull()
  })

  it('takes the whole identity of somebody else whose id or address it is in, but a name alone', () => {
    const both = event({ identity: [at('actor.id', 'x/u-1'), at('actor.email', 'b@x.example')], content: null })
    expect(planErasure('ANONYMIZE', both, mentions)).toMatchObject({ identity: null, actor: true })
    const named = event({ identity: [at('actor.id', 'b'), at('actor.name', 'for u-1')], content: null })
    expect(planErasure('ANONYMIZE', named, mentions)).toMatchObject({
      identity: [expect.objectContaining({ path: 'actor.id' })],
      actor: false,
    })
  })
})
