import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeRegionalId } from '../../src/kernel/ids.js'
import { verifyChainsJob } from '../../src/verification/verify-chains.job.js'
import { asPerson, outcome } from '../harness/actors.js'
import { createWorld, type World } from '../harness/app.js'
import { storedEvents } from '../harness/chain.js'
import { asSuperuser, checkpointAt, copied, databaseOf, events } from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'
import { verdictOf } from '../harness/verification.js'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

const person = (n: number) => ({
  action: 'user.login',
  category: 'auth',
  actor: { id: `u_${n % 7}`, email: `U${n % 7}@Example.com`, name: `Ünï ${n}` },
  target: { id: `t_${n}`, type: 'session' },
  payload: { n, nested: { deep: [1, 'two', null] } },
  metadata: { ip: '203.0.113.9' },
  changes: [{ field: 'role', old: null, new: 'admin' }],
  traceId: `trace-${n}`,
  occurredAt: '0001-01-01T00:00:00.001Z',
})

describe('verifyChain', () => {
  it('says that a chain nobody touched is whole, and what its head is', async () => {
    const chain = world.acme.in.EU
    await world.record(
      chain,
      Array.from({ length: 1100 }, (_, n) => person(n)),
    )
    await checkpointAt(world, chain, 1100)
    await copied(world, chain, 1100)
    const stored = await storedEvents(world.app.registry.get('EU').database, chain)
    const verdict = await verdictOf(world, chain)
    expect(verdict).toEqual({
      ok: true,
      checkedEvents: 1100,
      erasedEvents: 0,
      linkOnlyEvents: 0,
      fromSequence: 1,
      toSequence: 1100,
      headHash: stored.at(-1)!.hash.toString('hex'),
      firstBreak: null,
    })
  })

  it('verifies any stretch, with the link to the event before it', async () => {
    const chain = world.acme.in.EU
    const stored = await storedEvents(world.app.registry.get('EU').database, chain)
    for (const [from, to] of [
      [1, 1],
      [1, 600],
      [2, 2],
      [257, 512],
      [300, 1100],
      [1100, 1100],
      [700, null],
    ] as const) {
      const last = to ?? 1100
      expect(await verdictOf(world, chain, { from, to })).toMatchObject({
        ok: true,
        checkedEvents: last - from + 1,
        fromSequence: from,
        toSequence: last,
        headHash: stored[last - 1]!.hash.toString('hex'),
      })
    }
  })

  it('finds the link broken where a stretch begins', async () => {
    const chain = world.acme.in.US
    const [, , third] = await world.record(chain, events(5))
    await asSuperuser(world, databaseOf(world, 'US'), [
      `update event set hash = sha256('x') where workspace_id = '${chain.id}' and sequence = 2`,
    ])
    expect(await verdictOf(world, chain, { from: 3, to: 4 })).toMatchObject({
      ok: false,
      checkedEvents: 0,
      headHash: null,
      firstBreak: { sequence: 3, eventId: third, reason: 'PREVIOUS_HASH_MISMATCH' },
    })
    expect(await verdictOf(world, chain, { from: 4, to: 4 })).toMatchObject({ ok: true })
  })

  it('says of a chain without events that it is whole', async () => {
    expect(await verdictOf(world, world.acme.in.APAC)).toMatchObject({
      ok: true,
      checkedEvents: 0,
      fromSequence: 1,
      toSequence: 0,
      headHash: null,
    })
  })

  it.each([
    ['fromSequence', { from: 0 }],
    ['fromSequence', { from: -1 }],
    ['fromSequence', { from: 1101 }],
    ['toSequence', { from: 5, to: 4 }],
    ['toSequence', { to: 1101 }],
  ])('refuses a %s that makes no stretch of the chain: %o', async (field, stretch) => {
    const { errors } = await ask(world.acme.in.EU.gid, world.acme.key, stretch)
    expect(errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field })
  })

  it('is for whoever reads the workspace, and null for others', async () => {
    const { EU } = world.acme.in
    const member = await asPerson(world, { company: world.acme.id, role: 'MEMBER', workspaces: [EU.id] })
    const outsider = await asPerson(world, { company: world.acme.id, role: 'MEMBER', workspaces: [] })
    const query = `{ verifyChain(workspaceId: "${EU.gid}", toSequence: 10) { ok } }`
    expect((await member.gql(query)).data).toEqual({ verifyChain: { ok: true } })
    expect((await outsider.gql(query)).data).toEqual({ verifyChain: null })
    for (const key of [world.globex.key, world.acme.in.US.key])
      expect((await world.gql(key, query)).data).toEqual({ verifyChain: null })
    expect(outcome(await world.gql(null, query))).toBe('UNAUTHENTICATED')
    const billing = await asPerson(world, { staffRole: 'BILLING_ADMIN' })
    expect(outcome(await billing.gql(query))).toBe('FORBIDDEN')
  })

  it('is whole while events are recorded all the while', async () => {
    const chain = world.globex.in.EU
    await world.record(chain, events(50))
    const recording = (async () => {
      for (let n = 0; n < 30; n++) await world.record(chain, events(10))
    })()
    let verified = 0
    while (verified < 350) {
      const verdict = await verdictOf(world, chain)
      expect(verdict).toMatchObject({ ok: true, firstBreak: null })
      verified = verdict.toSequence
    }
    await recording
  })

  it('lets others have their turn every few milliseconds', async () => {
    const { EU } = world.acme.in
    const work = new AbortController()
    const verifying = Promise.all([verdictOf(world, EU), verdictOf(world, EU), verdictOf(world, EU)])
    void verifying.finally(() => work.abort())
    const pauses: number[] = []
    while (!work.signal.aborted) {
      const at = performance.now()
      await setImmediate()
      pauses.push(performance.now() - at)
    }
    await verifying
    const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0)
    // Chunks of 500 events in one go would be 20 ms and more each, and nearly all of the time.
    expect(sum(pauses.filter((ms) => ms > 20))).toBeLessThan(sum(pauses) / 2)
  })

  it('stops when the client has gone', async () => {
    const gone = new AbortController()
    const query = `{ verifyChain(workspaceId: "${world.acme.in.EU.gid}") { ok } }`
    const answers = Array.from({ length: 20 }, () =>
      fetch(world.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${world.acme.key}` },
        body: JSON.stringify({ query }),
        signal: gone.signal,
      }),
    )
    setTimeout(() => gone.abort(), 20)
    expect((await Promise.allSettled(answers)).some(({ status }) => status === 'rejected')).toBe(true)
    // Nothing of it holds up the next one.
    expect(await verdictOf(world, world.acme.in.EU)).toMatchObject({ ok: true })
  })

  it('makes no more than a few wait (RATE_LIMITED, with a time)', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(world.acme.in.EU.gid, world.acme.key)))
    const limited = answers.filter((answer) => outcome(answer) === 'RATE_LIMITED')
    expect(limited.length).toBeGreaterThan(0)
    expect(limited[0]!.errors![0]!.extensions.retryAfterMs).toBeGreaterThan(0)
    expect(answers.filter((answer) => answer.data.verifyChain?.ok === true).length).toBeGreaterThanOrEqual(34)
  })

  it('costs so much that a request can hold but a few of them', async () => {
    const many = Array.from(
      { length: 6 },
      (_, n) => `v${n}: verifyChain(workspaceId: "${world.acme.in.EU.gid}") { ok }`,
    )
    expect(outcome(await world.gql(world.acme.key, `{ ${many.join(' ')} }`))).toBe('QUERY_TOO_COMPLEX')
  })
})

const ask = (gid: string, key: string, stretch: { from?: number; to?: number } = {}) =>
  world.gql(
    key,
    'query ($id: ID!, $from: SafeInt, $to: SafeInt) { verifyChain(workspaceId: $id, fromSequence: $from, toSequence: $to) { ok } }',
    { id: gid, ...stretch },
  )

describe('the nightly verification', () => {
  const run = (sliceEvents: number, signal = new AbortController().signal) => {
    const job = verifyChainsJob({ ...world.app.verification, clock: world.app.clock, sliceEvents })
    if (!job.perRegion) throw new Error('it has runs per region')
    return (region: 'AU' | 'US' | 'EU' | 'APAC') =>
      job.run({ region, signal, progress: () => undefined, resumeFrom: null })
  }
  const shown = async (gid: string) => {
    const { data } = await world.gql(world.acme.key, `{ workspace(id: "${gid}") { lastVerifiedAt chainStatus } }`)
    return data.workspace
  }

  it('keeps a verdict on every chain, taken a slice at a time', async () => {
    const { EU } = world.acme.in
    expect(await shown(EU.gid)).toEqual({ lastVerifiedAt: null, chainStatus: 'UNVERIFIED' })
    const before = Date.now()
    expect(await run(300)('EU')).toBeGreaterThanOrEqual(1100 + 350)
    const { lastVerifiedAt, chainStatus } = await shown(EU.gid)
    expect(chainStatus).toBe('OK')
    expect(Date.parse(lastVerifiedAt)).toBeGreaterThanOrEqual(before)
  })

  it('goes on where it was stopped', async () => {
    const { EU } = world.acme.in
    const stop = new AbortController()
    const stopped = run(100, stop.signal)('EU')
    await eventually('a slice', async () => (await passOf(EU.id)) !== null)
    stop.abort(new Error('stopped'))
    await expect(stopped).rejects.toThrow('stopped')
    const reached = (await passOf(EU.id))!
    expect(await run(100_000)('EU')).toBeLessThanOrEqual(1100 + 350 - reached)
    expect(await passOf(EU.id)).toBeNull()
    expect((await shown(EU.gid)).chainStatus).toBe('OK')
  })

  it('fails, alarms, and verifies the others nevertheless, where one chain is broken', async () => {
    const broken = world.acme.in.AU
    const other = world.globex.in.AU
    await world.record(broken, events(10))
    await world.record(other, events(10))
    await checkpointAt(world, broken, 10)
    await asSuperuser(world, databaseOf(world, 'AU'), [
      `update event set action = 'x' where workspace_id = '${broken.id}' and sequence = 7`,
    ])
    const counts = () => world.app.verification.alarms.counts.get('HASH_MISMATCH') ?? 0
    const before = counts()
    await expect(run(4)('AU')).rejects.toThrow('not every chain of AU verifies')
    expect(counts()).toBe(before + 1)
    expect((await shown(broken.gid)).chainStatus).toBe('BROKEN')
    const { data } = await world.gql(world.globex.key, `{ workspace(id: "${other.gid}") { chainStatus } }`)
    expect(data.workspace.chainStatus).toBe('OK')
    const [kept] = await world.app.control.query<Record<string, unknown>>(
      'select break_reason, break_sequence, break_event_id from chain_verification where workspace_id = $1',
      [broken.id],
    )
    const stored = await storedEvents(world.app.registry.get('AU').database, broken)
    expect(kept).toEqual({ break_reason: 'HASH_MISMATCH', break_sequence: '7', break_event_id: stored[6]!.id })
    expect(encodeRegionalId('event', 'AU', stored[6]!.id)).toBe((await verdictOf(world, broken)).firstBreak!.eventId)
  })

  async function passOf(workspaceId: string): Promise<number | null> {
    const rows = await world.app.control.query<{ pass_sequence: string | null }>(
      'select pass_sequence from chain_verification where workspace_id = $1',
      [workspaceId],
    )
    return rows[0]?.pass_sequence == null ? null : Number(rows[0].pass_sequence)
  }
})
