import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { asPerson } from '../harness/actors.js'
import { createWorld, sendGraphql, type World, type WorldWorkspace } from '../harness/app.js'
import { eventually } from '../harness/eventually.js'
import { approvedRequest, makeTrio, readRequest, retry, showEvent, type Trio, verifyChain } from '../harness/gdpr.js'

let world: World
let trio: Trio
beforeAll(async () => {
  world = await createWorld()
  trio = await makeTrio(world, world.acme)
})
afterAll(() => world.close())

/** A subject of its own for each test. */
let subject: { id: string; email: string; name: string }
beforeEach(() => {
  const word = randomUUID().slice(0, 8)
  subject = { id: `subject-${word}`, email: `Zoe.${word}@People.Example`, name: `Zoe Quint ${word}` }
})

const event = (more: Record<string, unknown>) => ({ action: 'doc.read', category: 'docs', ...more })
const never = new AbortController().signal
const run = (signal: AbortSignal = never): Promise<number> => eraseRequests(world.app.erasure, signal)
const asking = (requestType: 'DELETE' | 'ANONYMIZE') => ({
  companyId: world.acme.gid,
  requestType,
  actorId: subject.id,
  actorEmail: subject.email,
})

const show = (id: string) => showEvent(world, id)
const ingest = 'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }'
const verify = (workspace: WorldWorkspace) => verifyChain(world, workspace)
/** How many events searches find by the subject's identifiers. */
async function found(): Promise<number[]> {
  const filters = [
    `actorId: "${subject.id}"`,
    `actorEmail: "${subject.email}"`,
    `targetId: "${subject.id}"`,
    `targetId: "${subject.email}"`,
  ]
  return Promise.all(
    filters.map(async (filter) => {
      const answer = await world.gql(
        world.acme.key,
        `{ globalEvents(filter: { ${filter} }) { totalCount nodes { id } } }`,
      )
      expect(answer.errors).toBeUndefined()
      const { totalCount, nodes } = answer.data.globalEvents
      expect(totalCount ?? nodes.length).toBe(nodes.length)
      return nodes.length as number
    }),
  )
}
const indexed = () =>
  eventually('the index', async () => {
    const counts = await Promise.all(regions.map((region) => world.app.indexer.pendingOf(region)))
    return counts.every((count) => count === 0)
  })

interface Recorded {
  readonly own: readonly string[]
  readonly target: string
  readonly mention: string
  readonly stranger: string
}
async function recordAll(): Promise<Recorded> {
  const { AU, EU, US } = world.acme.in
  const { id, email, name } = subject
  const own = [
    ...(await world.record(EU, [
      event({
        actor: { id, email, name },
        target: { id: 'doc-1', type: 'doc' },
        payload: { title: 'Report', ip: '192.0.2.7', note: `by ${name}`, size: 12 },
        metadata: { region: 'eu' },
        changes: [
          { field: 'state', old: 'draft', new: 'final' },
          { field: 'owner.email', old: null, new: 'other@people.example' },
        ],
        traceId: 'trace-1',
        idempotencyKey: randomUUID(),
      }),
    ])),
    ...(await world.record(AU, [event({ actor: { email: email.toLowerCase() }, payload: { title: 'A' } })])),
    ...(await world.record(US, [event({ actor: { id }, payload: { title: 'B' } })])),
  ]
  const [target, mention, stranger] = await world.record(EU, [
    event({ actor: { id: 'boss' }, target: { id, type: 'user' }, payload: { kept: true } }),
    event({
      actor: { id: 'boss', name: 'The Boss' },
      payload: {
        to: [`<${email.toUpperCase()}>`],
        subject: 'Hello',
        url: `https://x.example/?u=${encodeURIComponent(email)}`,
      },
      metadata: { [email]: 1, other: 2 },
    }),
    event({ actor: { id: `${id}2`, email: `a${email}` }, payload: { like: `${id}2 and a${email}` } }),
  ])
  await indexed()
  return { own, target: target!, mention: mention!, stranger: stranger! }
}

describe('DELETE', () => {
  it('takes all that the subject disclosed, and what mentions it elsewhere; the rest stays and verifies', async () => {
    const { own, target, mention, stranger } = await recordAll()
    expect(await found()).toEqual([2, 2, 1, 0])
    const id = await approvedRequest(trio, asking('DELETE'))
    expect(await run()).toBe(1)
    for (const one of own)
      expect(await show(one)).toMatchObject({
        erasedAt: expect.any(String),
        actor: null,
        payload: {},
        metadata: null,
        changes: null,
        traceId: null,
      })
    expect((await show(own[0]!)).target).toEqual({ id: null, type: 'doc' })
    expect(await show(target)).toMatchObject({
      erasedAt: expect.any(String),
      actor: { id: 'boss' },
      target: { id: null, type: 'user' },
      payload: { kept: true },
    })
    expect(await show(mention)).toMatchObject({
      actor: { id: 'boss', name: 'The Boss' },
      payload: { subject: 'Hello' },
      metadata: { other: 2 },
    })
    expect(await show(stranger)).toMatchObject({
      erasedAt: null,
      actor: { id: `${subject.id}2`, email: `a${subject.email}` },
      payload: { like: `${subject.id}2 and a${subject.email}` },
    })
    expect(await found()).toEqual([0, 0, 0, 0])
    for (const region of ['AU', 'US', 'EU'] as const)
      expect(await verify(world.acme.in[region])).toMatchObject({ ok: true, firstBreak: null })
    const done = await readRequest(trio.staff, id)
    expect(done).toMatchObject({
      status: 'DONE',
      completedAt: expect.any(String),
      progress: { matchedEvents: 5, erasedEvents: 5 },
    })
    expect(done.subject).toMatch(/^[0-9a-f]{32}$/)
    const evidence = (region: Region, store: string): number | undefined =>
      done.evidence.find((one: { region: string; store: string }) => one.region === region && one.store === store)
        ?.records
    expect(evidence('EU', 'events')).toBe(3)
    expect(evidence('US', 'events')).toBe(1)
    expect(evidence('EU', 'subject keys')).toBe(2)
    expect(evidence('EU', 'global index')).toBe(2)
  })

  it('destroys the keys, and no one else loses anything', async () => {
    const { EU } = world.acme.in
    const others = Array.from({ length: 60 }, (_, i) => event({ actor: { id: `other-${i}` }, payload: { i } }))
    const ids = await world.record(EU, others)
    await recordAll()
    const keys = () =>
      world.app.registry.use('EU', ({ database }) =>
        database.transaction({ companies: [world.acme.id], timeoutMs: 5_000 }, (tx) =>
          tx.query<{ bucket: number; generation: number }>('select bucket, generation from subject_key', []),
        ),
      )
    const before = (await keys()).length
    await approvedRequest(trio, asking('DELETE'))
    await run()
    // A pair of the subject's (the workspace's own is made where something of an ANONYMIZE is left).
    expect((await keys()).length).toBe(before - 2)
    const [bucket] = await world.app.registry.use('EU', ({ database }) =>
      database.query<{ bucket: number; generation: number }>('select * from key_bucket where generation > 0 limit 1'),
    )
    const files = await readdir(join(world.keyVaultDir, 'eu'))
    const hex = bucket!.bucket.toString(16).padStart(2, '0')
    expect(files.filter((name) => name.startsWith(`bucket-${hex}.`))).toEqual([
      `bucket-${hex}.${bucket!.generation}.key`,
    ])
    const another = await world.another()
    for (const [i, id] of ids.entries()) expect((await show(id)).payload).toEqual({ i })
    await another.app.close()
    expect((await verify(EU)).ok).toBe(true)
  })

  it('erases also what the subject does while it is under way, and records it again afterwards', async () => {
    await recordAll()
    const { EU } = world.acme.in
    const id = await approvedRequest(trio, asking('DELETE'))
    const over = new AbortController()
    const recording = (async () => {
      let n = 0
      for (; !over.signal.aborted; n++) await world.record(EU, [event({ actor: { id: subject.id }, payload: { n } })])
      return n
    })()
    await run()
    over.abort()
    expect(await recording).toBeGreaterThan(0)
    const halfway = await verify(EU)
    expect(halfway.firstBreak).toBeNull()
    await run()
    const { status } = await readRequest(trio.staff, id)
    expect(status).toBe('DONE')
    const [after] = await world.record(EU, [event({ actor: { id: subject.id }, payload: { n: 'again' } })])
    expect(await show(after!)).toMatchObject({ actor: { id: subject.id }, payload: { n: 'again' } })
    expect(await verify(EU)).toMatchObject({ ok: true })
  })
})

it('a process that has not heard of it records nothing under a key that is gone', async () => {
  await recordAll()
  const { EU } = world.acme.in
  const deaf = await world.another()
  const record = (payload: object) =>
    sendGraphql(deaf.url, EU.key, ingest, {
      input: { events: [event({ actor: subject, payload }), event({ actor: { id: 'other' }, payload })] },
    })
  expect((await record({ n: 1 })).errors).toBeUndefined()
  await (deaf.app as unknown as { factsListener: { stop(): Promise<void> } }).factsListener.stop()
  await approvedRequest(trio, asking('DELETE'))
  expect(await run()).toBe(1)
  const answer = await record({ n: 2 })
  expect(answer.errors).toBeUndefined()
  for (const { eventId } of answer.data.ingestEvents.receipts) expect((await show(eventId)).payload).toEqual({ n: 2 })
  await deaf.app.close()
  expect(await verify(EU)).toMatchObject({ ok: true })
})

describe('ANONYMIZE', () => {
  it('takes who it was and leaves what was done, under one pseudonym', async () => {
    const { own, target, stranger } = await recordAll()
    await approvedRequest(trio, asking('ANONYMIZE'))
    expect(await run()).toBe(1)
    const shown = await Promise.all(own.map(show))
    const pseudonym = shown[0]!.actor!.id
    expect(pseudonym).toMatch(/^anon_[0-9a-f]{16}$/)
    for (const one of shown) expect(one.actor).toEqual({ id: pseudonym, email: null, name: null })
    expect(shown[0]).toMatchObject({
      target: { id: 'doc-1', type: 'doc' },
      payload: { title: 'Report', size: 12 },
      metadata: { region: 'eu' },
      changes: [{ field: 'state', old: 'draft', new: 'final' }],
      traceId: 'trace-1',
    })
    expect(shown[0]!.payload).not.toHaveProperty('ip')
    expect(shown[0]!.payload).not.toHaveProperty('note')
    expect(shown[1]!.payload).toEqual({ title: 'A' })
    expect((await show(target)).target).toEqual({ id: null, type: 'user' })
    expect((await show(stranger)).erasedAt).toBeNull()
    expect(await found()).toEqual([0, 0, 0, 0])
    for (const region of ['AU', 'US', 'EU'] as const)
      expect(await verify(world.acme.in[region])).toMatchObject({ ok: true })
    const search = await world.gql(world.acme.key, '{ globalEvents(filter: { traceId: "trace-1" }) { nodes { id } } }')
    expect(search.data.globalEvents.nodes.map((node: { id: string }) => node.id)).toContain(own[0])
  })
})

describe('a run that is cut short', () => {
  it('at any step leaves chains that verify, and the next one finishes the rest, once', async () => {
    const steps = new Set<string>()
    for (let stopAt = 1; stopAt <= 12; stopAt++) {
      const word = randomUUID().slice(0, 8)
      subject = { id: `subject-${word}`, email: `${word}@people.example`, name: `N ${word}` }
      await recordAll()
      const id = await approvedRequest(trio, asking(stopAt % 2 === 0 ? 'DELETE' : 'ANONYMIZE'))
      const abort = new AbortController()
      let count = 0
      const interrupted = eraseRequests(
        {
          ...world.app.erasure,
          onStep: (step) => {
            if (++count < stopAt) return
            steps.add(step)
            abort.abort(new Error('the process died'))
            throw new Error('the process died')
          },
        },
        abort.signal,
      )
      await interrupted.catch(() => undefined)
      expect((await verify(world.acme.in.EU)).firstBreak).toBeNull()
      await run()
      const done = await readRequest(trio.staff, id)
      expect({ stopAt, status: done.status, ...done.progress }).toEqual({
        stopAt,
        status: 'DONE',
        matchedEvents: 5,
        erasedEvents: 5,
      })
      expect(await found()).toEqual([0, 0, 0, 0])
    }
    expect([...steps]).toEqual(
      expect.arrayContaining(['values.erased', 'values.noted', 'bucket.rewrapped', 'bucket.turned']),
    )
    for (const region of ['AU', 'US', 'EU'] as const)
      expect(await verify(world.acme.in[region])).toMatchObject({ ok: true })
  }, 120_000)

  it('two at once come to the same', async () => {
    await recordAll()
    const { EU } = world.acme.in
    const before = (await verify(EU)).erasedEvents
    const id = await approvedRequest(trio, asking('DELETE'))
    const another = await world.another()
    await Promise.all([run(), eraseRequests(another.app.erasure, never)])
    await run()
    await another.app.close()
    const done = await readRequest(trio.staff, id)
    expect(done).toMatchObject({ status: 'DONE', progress: { erasedEvents: 5 } })
    expect(await verify(EU)).toMatchObject({ ok: true, erasedEvents: before + 3 })
  })
})

describe('around it', () => {
  it('an unexpected error makes it FAILED, and a retry goes on', async () => {
    await recordAll()
    const id = await approvedRequest(trio, asking('DELETE'))
    let fails = true
    const broken = {
      ...world.app.erasure,
      onStep: (step: string) => {
        if (fails && step === 'values.erased') throw new Error('something of Zoe broke')
      },
    }
    await eraseRequests(broken, never)
    fails = false
    const failed = await readRequest(trio.staff, id)
    expect(failed.status).toBe('FAILED')
    expect(failed.failure).not.toContain('Zoe')
    expect(await run()).toBe(0)
    expect((await retry(trio.staff, id)).data.retryGdprRequest.gdprRequest.status).toBe('PROCESSING')
    expect(await run()).toBe(1)
  })

  it('a legal hold set after the approvals keeps everything', async () => {
    await recordAll()
    const id = await approvedRequest(trio, asking('DELETE'))
    const hold = (active: boolean) =>
      trio.staff.gql('mutation ($input: SetLegalHoldInput!) { setLegalHold(input: $input) { active } }', {
        input: { companyId: world.acme.gid, actorEmail: subject.email, active, reason: 'litigation' },
      })
    await hold(true)
    expect(await run()).toBe(0)
    expect((await readRequest(trio.staff, id)).status).toBe('ADMIN_APPROVED')
    expect(await found()).toEqual([2, 2, 1, 0])
    await hold(false)
    expect(await run()).toBe(1)
  })

  it('exports that held it are gone from the disk', async () => {
    await recordAll()
    const { EU } = world.acme.in
    const asked = await world.gql(
      EU.key,
      `mutation { requestExport(input: { workspaceId: "${EU.gid}", format: NDJSON }) { export { id } } }`,
    )
    const { id } = asked.data.requestExport.export
    const status = async () => (await world.gql(EU.key, `{ export(id: "${id}") { status } }`)).data.export.status
    await eventually('the export', async () => (await status()) === 'DONE')
    const folder = join(world.keyVaultDir, 'exports', 'eu')
    expect((await readdir(folder)).length).toBeGreaterThan(0)
    await approvedRequest(trio, asking('DELETE'))
    await run()
    expect(await status()).toBe('EXPIRED')
    expect(await readdir(folder)).toEqual([])
  })

  it('runs as a job, started by staff', async () => {
    await recordAll()
    const id = await approvedRequest(trio, asking('DELETE'))
    const admin = await asPerson(world, { staffRole: 'SUPER_ADMIN' })
    const answer = await admin.gql('mutation { runJob(input: { name: "gdpr" }) { run { id } } }')
    expect(answer.errors).toBeUndefined()
    await eventually('DONE', async () => (await readRequest(trio.staff, id)).status === 'DONE')
  })
})
