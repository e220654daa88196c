import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eraseRequests } from '../../src/gdpr/erase-requests.js'
import type { ErasureDeps } from '../../src/gdpr/erasure-deps.js'
import { ExportVerifier } from '../../src/ledger/index.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import { signIn } from '../harness/actors.js'
import { createWorld, pepper, type World, type WorldWorkspace } from '../harness/app.js'
import {
  archiveNow,
  bucketFolder,
  coldNow,
  DAY_MS,
  followRestores,
  indexed,
  keysIn,
  listObjects,
  slowBuckets,
} from '../harness/archive.js'
import { exported } from '../harness/exports.js'
import { approvedRequest, makeTrio, readRequest, showEvent, type Trio, verifyChain } from '../harness/gdpr.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'

const HOUR_MS = 3_600_000
let world: World
let trio: Trio
let clock: SettableClock
beforeEach(async () => {
  clock = settableClock()
  world = await createWorld({ clock, openStore: slowBuckets(clock, 5 * HOUR_MS) })
})
afterEach(() => world.close())

const never = new AbortController().signal
const run = (more: Partial<ErasureDeps> = {}, signal = never): Promise<number> =>
  eraseRequests({ ...world.app.erasure, ...more }, signal)
const event = (more: Record<string, unknown>) => ({ action: 'doc.read', category: 'docs', ...more })

let subject: { id: string; email: string; name: string }
let workspace: WorldWorkspace
let own: string
let mention: string
let target: string
let stranger: string

/** A workspace of its own, with events about a subject of its own, archived. */
beforeEach(async () => {
  const word = newUuid().slice(-8)
  subject = { id: `subject-${word}`, email: `zoe.${word}@people.example`, name: `Zoe Quint ${word}` }
  const { control } = world.app
  const made = await createWorkspace(
    { control, clock },
    { companyId: world.acme.id, name: `W ${word}`, dataRegion: 'EU' },
  )
  const { secret } = await createApiKey(
    { control, pepper, clock: { now: () => new Date() } },
    { companyId: world.acme.id, workspaceId: made.id, name: 'k', scope: 'WORKSPACE' },
  )
  workspace = { ...world.acme.in.EU, ...made, gid: encodeId('workspace', made.id), key: secret }
  const ids = await world.record(workspace, [
    event({
      actor: subject,
      target: { id: 'doc-1', type: 'doc' },
      payload: { title: 'Report', ip: '192.0.2.7', note: `by ${subject.name}` },
      traceId: 'trace-1',
    }),
    event({ actor: { id: 'boss' }, payload: { to: subject.email, subject: 'Hello' } }),
    event({ actor: { id: 'boss' }, target: { id: subject.id, type: 'user' }, payload: { kept: true } }),
    event({ actor: { id: `${subject.id}2` }, payload: { like: `${subject.id}2` } }),
  ])
  ;[own, mention, target, stranger] = ids as [string, string, string, string]
  clock.advance(400 * DAY_MS)
  await archiveNow(world, 'EU')
  trio = await makeTrio(world, world.acme)
})

/** Time goes by, and whoever was signed in signs in again. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms)
  for (const person of Object.values(trio)) await signIn(person)
}

const asking = (requestType: 'DELETE' | 'ANONYMIZE') => ({
  companyId: world.acme.gid,
  requestType,
  actorId: subject.id,
  actorEmail: subject.email,
})
/** How many events searches find by the subject's identifiers. */
async function found(): Promise<number> {
  const filters = [`actorId: "${subject.id}"`, `actorEmail: "${subject.email}"`, `targetId: "${subject.id}"`]
  let count = 0
  for (const filter of filters) {
    const answer = await world.gql(
      workspace.key,
      `{ workspaceEvents(filter: { includeArchived: true, ${filter} }) { totalCount edges { cursor } } }`,
    )
    expect(answer.errors).toBeUndefined()
    const { totalCount, edges } = answer.data.workspaceEvents
    expect(totalCount).toBe(edges.length)
    count += edges.length
  }
  return count
}
const verdict = async (id: string): Promise<string> => {
  const answer = await trio.approver.gql(`mutation { verifyArchive(archiveObjectId: "${id}") { verdict } }`)
  expect(answer.errors).toBeUndefined()
  return answer.data.verifyArchive.verdict
}
async function verifyExport(): Promise<void> {
  const { text } = await exported(world, workspace, { scope: 'ALL' })
  const verifier = new ExportVerifier({ workspaceId: workspace.id })
  for (const line of text.trimEnd().split('\n')) verifier.line(line)
  expect(verifier.finish()).toMatchObject({ ok: true, outcome: 'OK_WITH_ERASURES' })
  for (const word of Object.values(subject)) expect(text.replaceAll(`${subject.id}2`, '')).not.toContain(word)
}
const evidenceOf = (request: { evidence: { region: string; store: string; records: number }[] }, store: string) =>
  request.evidence.find((one) => one.region === 'EU' && one.store === store)?.records

const leftOf = {
  DELETE: { erasedAt: expect.any(String), actor: null, payload: {}, traceId: null },
  ANONYMIZE: {
    erasedAt: expect.any(String),
    actor: { id: expect.stringMatching(/^anon_[0-9a-f]{16}$/), email: null, name: null },
    payload: { title: 'Report' },
    traceId: 'trace-1',
  },
}

async function expectErased(mode: 'DELETE' | 'ANONYMIZE'): Promise<void> {
  expect(await showEvent(world, own)).toMatchObject(leftOf[mode])
  expect(await showEvent(world, mention)).toMatchObject({ actor: { id: 'boss' }, payload: { subject: 'Hello' } })
  expect((await showEvent(world, mention)).payload).not.toHaveProperty('to')
  expect((await showEvent(world, target)).target).toEqual({ id: null, type: 'user' })
  expect(await showEvent(world, stranger)).toMatchObject({ erasedAt: null, payload: { like: `${subject.id}2` } })
  expect(await found()).toBe(0)
  expect(await verifyChain(world, workspace)).toMatchObject({ ok: true, erasedEvents: 3, firstBreak: null })
  await verifyExport()
}

describe.each(['DELETE', 'ANONYMIZE'] as const)('%s of an archived subject', (mode) => {
  it('rewrites warm objects, deletes their former bytes, and leaves what verifies', async () => {
    const [before] = await listObjects(world, workspace)
    await indexed(world)
    expect(await found()).toBe(3)
    const id = await approvedRequest(trio, asking(mode))
    expect(await run()).toBe(1)
    await expectErased(mode)
    const [after] = await listObjects(world, workspace)
    expect(after).toMatchObject({ id: before!.id, eventCount: 4 })
    expect(after!.sha256).not.toBe(before!.sha256)
    const keys = await keysIn(world, 'EU')
    expect(keys).toContain(after!.key)
    expect(keys).not.toContain(before!.key)
    expect(await verdict(after!.id)).toBe('OK_WITH_ERASURES')
    const manifest = join(bucketFolder(world, 'EU'), 'warm', after!.key.replace('.ndjson.zst', '.manifest.json'))
    expect(JSON.parse(await readFile(manifest, 'utf8'))).toMatchObject({ sha256: after!.sha256, revision: 2 })
    const done = await readRequest(trio.staff, id)
    expect(done).toMatchObject({ status: 'DONE', progress: { erasedEvents: 3 } })
    expect(evidenceOf(done, 'archive objects pending until they are restored')).toBe(0)
  })

  it('in cold storage is unreadable at once, and done when the objects were restored and sent back', async () => {
    expect(await coldNow(world, 'EU')).toBeGreaterThan(0)
    const [before] = await listObjects(world, workspace)
    expect(before!.storageClass).toBe('COLD')
    const id = await approvedRequest(trio, asking(mode))
    expect(await run()).toBe(0)
    // Nobody finds it any more, and its identity can't be read, though the bytes lie where they lay.
    expect(await found()).toBe(0)
    const waiting = await readRequest(trio.staff, id)
    expect(waiting.status).toBe('PROCESSING')
    expect(evidenceOf(waiting, 'archive objects pending until they are restored')).toBeGreaterThan(0)
    expect((await listObjects(world, workspace))[0]!.storageClass).toBe('RESTORING')
    expect(await verifyChain(world, workspace)).toMatchObject({ ok: true })
    await pass(6 * HOUR_MS)
    await followRestores(world, 'EU')
    // Restored, and not yet rewritten: nobody reads it.
    expect((await listObjects(world, workspace))[0]!.storageClass).toBe('RESTORED')
    const refused = await world.gql(world.acme.key, `{ event(id: "${own}") { payload } }`)
    expect(refused.errors![0]!.extensions).toMatchObject({ code: 'RESTORE_REQUIRED', archiveObjectIds: [before!.id] })
    expect(await verifyChain(world, workspace)).toMatchObject({ ok: true, firstBreak: null })
    expect(await run()).toBe(1)
    expect((await readRequest(trio.staff, id)).status).toBe('DONE')
    const [after] = await listObjects(world, workspace)
    expect(after!.storageClass).toBe('COLD')
    expect(after!.key).not.toBe(before!.key)
    const restore = `mutation { requestRestore(input: { archiveObjectId: "${after!.id}" }) { archiveObject { storageClass } } }`
    expect((await trio.approver.gql(restore)).data.requestRestore.archiveObject.storageClass).toBe('RESTORING')
    await pass(6 * HOUR_MS)
    await expectErased(mode)
    expect(await verdict(after!.id)).toBe('OK_WITH_ERASURES')
  })
})

it('an erasure that is cut short at any step is finished by the next, and nothing is lost or doubled', async () => {
  const id = await approvedRequest(trio, asking('ANONYMIZE'))
  const steps: string[] = []
  for (let stopAt = 0; stopAt < 60; stopAt++) {
    const crash = new AbortController()
    let step = 0
    const onStep = (name: string): void => {
      steps.push(name)
      if (step++ < stopAt) return
      crash.abort(new Error('crash'))
      throw new Error('crash')
    }
    const { archive } = world.app.erasure
    const finished = await run({ onStep, archive: { ...archive, onStep } }, crash.signal).then(
      (count) => count === 1,
      () => false,
    )
    expect(await verifyChain(world, workspace)).toMatchObject({ firstBreak: null })
    if (finished) break
  }
  expect(new Set(steps)).toContain('archive.erased')
  expect(new Set(steps)).toContain('object.read_back')
  expect((await readRequest(trio.staff, id)).status).toBe('DONE')
  await expectErased('ANONYMIZE')
  const referred = (await listObjects(world, workspace)).map(({ key }) => key)
  const kept = (await keysIn(world, 'EU')).filter((key) => key.includes(workspace.id) && key.endsWith('.zst'))
  expect(kept).toEqual(referred)
})
