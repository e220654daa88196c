import { createHash, randomUUID } from 'node:crypto'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { draftSystemEvent } from '../../src/events/draft-system-event.js'
import { sweepExports } from '../../src/exports/expire-exports.job.js'
import { parseGlobalId } from '../../src/kernel/ids.js'
import { tombstone, TombstoneSet } from '../../src/ledger/index.js'
import { type ExportKey, verifyExport } from '../../src/sdk/index.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { storedEvents } from '../harness/chain.js'
import { asSuperuser, databaseOf, event, events, logName, ownerRows } from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'
import { download, exported, folderOf, linesOf, look, request, settled } from '../harness/exports.js'
import { type SettableClock, settableClock } from '../harness/settable-clock.js'

let world: World
let clock: SettableClock
let keys: ExportKey[]
beforeAll(async () => {
  clock = settableClock()
  world = await createWorld({ clock, exportLeaseMs: 1_000 })
  keys = await eventually('published keys', async () => {
    const response = await fetch(new URL('/.well-known/hyrelog-keys.json', world.url))
    const body = (await response.json()) as { keys: ExportKey[] }
    return body.keys.length >= 4 && body.keys
  })
})
afterAll(() => world?.close())

const verdictOf = (text: string) => verifyExport(asStream(text), { keys, logName })

async function* asStream(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += 10_000) yield await Promise.resolve(text.slice(at, at + 10_000))
}

const sequencesOf = (text: string): number[] =>
  linesOf(text)
    .slice(0, -1)
    .map(({ sequence }) => sequence)
const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, n) => first + n)
const jobRow = (id: string) => {
  const parsed = parseGlobalId(id)
  return `id = '${parsed!.uuid}'`
}
const control = (sql: string) => ownerRows<Record<string, string>>(world, world.databases.control.name, sql)

/** Erases all that these events disclose, as an erasure does. */
async function eraseAll(workspace: WorldWorkspace, sequences: readonly number[]): Promise<void> {
  const { dataRegion: region, companyId, id: workspaceId } = workspace
  const stored = await storedEvents(world.app.registry.get(region).database, workspace)
  const erased = sequences.flatMap((sequence) => {
    const { digests } = JSON.parse(stored[sequence - 1]!.body.toString()) as { digests: string[] }
    return digests.map((digest) => ({ sequence, digest: Buffer.from(digest, 'base64') }))
  })
  const set = new TombstoneSet(erased.map((one) => tombstone({ workspaceId, ...one })))
  const erasure = {
    disclosures: erased.length,
    events: sequences.length,
    mode: 'DELETE',
    request: randomUUID(),
    root: set.root().toString('base64'),
  }
  const draft = draftSystemEvent(
    { region, companyId, workspaceId },
    { action: 'gdpr.erasure', system: { erasure }, receivedAt: clock.now(), idempotency: null },
  )
  const [receipt] = await world.app.committers.of(region).record([draft])
  const rows = erased.map(
    ({ sequence, digest }) =>
      `('${workspaceId}', ${sequence}, '\\x${digest.toString('hex')}', '${companyId}', ${receipt!.sequence})`,
  )
  await asSuperuser(world, databaseOf(world, region), [
    `insert into tombstone (workspace_id, sequence, digest, company_id, erasure_sequence) values ${rows.join(', ')}`,
    `update event set identity_blob = null, content_blob = null, erased_at = now()
     where workspace_id = '${workspaceId}' and sequence in (${sequences.join(', ')})`,
  ])
}

describe('an export', () => {
  test('holds every event once, in the order of the chain, and says what it is', async () => {
    const workspace = world.acme.in.EU
    await world.record(workspace, events(700))
    const { text, about } = await exported(world, workspace)
    expect(sequencesOf(text)).toEqual(upTo(700))
    expect(linesOf(text).at(-1)!.checkpoint).toContain('\n700\n')
    expect(about).toMatchObject({ status: 'DONE', rowCount: 700, treeSize: 700, workspace: { id: workspace.gid } })
    expect(about.id).toMatch(/^exp_eu_/)
    expect(about.sha256).toBe(createHash('sha256').update(text).digest('hex'))
    expect(about.sizeBytes).toBe(Buffer.byteLength(text))
    expect(about.progress).toEqual({ exportedRows: 700, totalRows: 700 })
    expect(await verdictOf(text)).toMatchObject({ outcome: 'OK', checkpoint: { treeSize: 700, signerPinned: true } })
    const { mode } = await stat(join(folderOf(world, workspace), (await readdir(folderOf(world, workspace)))[0]!))
    expect(mode & 0o777).toBe(0o600)
    const node = await world.gql(workspace.key, `{ node(id: "${about.id}") { id __typename } }`)
    expect(node.data.node).toEqual({ id: about.id, __typename: 'Export' })
  })

  test('is a snapshot: what is recorded meanwhile is in it once or not at all', async () => {
    const workspace = world.acme.in.US
    await world.record(workspace, events(600))
    const { id } = await request(world, workspace)
    const recording = (async () => {
      for (let n = 0; n < 40; n++) await world.record(workspace, events(25))
    })()
    const about = await settled(world, workspace.key, id)
    await recording
    const text = await (await download(world, about.downloadUrl!)).text()
    expect(about.treeSize).toBeGreaterThanOrEqual(600)
    expect(sequencesOf(text)).toEqual(upTo(about.treeSize!))
    expect(await verdictOf(text)).toMatchObject({ outcome: 'OK', unsignedEvents: 0 })
    const after = await exported(world, workspace)
    expect(sequencesOf(after.text)).toEqual(upTo(1600))
  })

  test('of a time carries proofs, so that each line verifies alone', async () => {
    const workspace = world.globex.in.EU
    await world.record(workspace, events(300))
    clock.advance(60_000)
    const from = clock.now()
    await world.record(workspace, events(300))
    clock.advance(60_000)
    const to = clock.now()
    await world.record(workspace, events(300))
    const { text, about } = await exported(world, workspace, { from: from.toISOString(), to: to.toISOString() })
    expect(sequencesOf(text)).toEqual(upTo(600, 301))
    expect(about).toMatchObject({ rowCount: 300, treeSize: 900 })
    expect(await verdictOf(text)).toMatchObject({ outcome: 'OK', fromSequence: 301, toSequence: 600 })
    const lines = text.trimEnd().split('\n')
    expect(await verdictOf(`${lines[17]}\n${lines.at(-1)}\n`)).toMatchObject({ outcome: 'OK', fromSequence: 318 })
    const head = await exported(world, workspace, { to: to.toISOString() })
    expect(sequencesOf(head.text)).toEqual(upTo(600))
    expect(await verdictOf(head.text)).toMatchObject({ outcome: 'OK' })
    const tail = await exported(world, workspace, { from: to.toISOString() })
    expect(sequencesOf(tail.text)).toEqual(upTo(900, 601))
    expect(await verdictOf(tail.text)).toMatchObject({ outcome: 'OK' })
  })

  test('proves what was erased: tombstones, whole or in part, and the erasures they name', async () => {
    const workspace = world.globex.in.US
    await world.record(workspace, events(40))
    await eraseAll(workspace, [5, 6, 30])
    await world.record(workspace, events(10))
    clock.advance(60_000)
    const to = clock.now().toISOString()
    await world.record(workspace, events(300))
    await eraseAll(workspace, [20, 21])
    const whole = await exported(world, workspace)
    expect(await verdictOf(whole.text)).toMatchObject({ outcome: 'OK_WITH_ERASURES', erasedEvents: 5, toSequence: 352 })
    const part = await exported(world, workspace, { to })
    expect(sequencesOf(part.text)).toEqual([...upTo(51), 352])
    expect(part.about).toMatchObject({ rowCount: 52, progress: { exportedRows: 52, totalRows: 52 } })
    expect(await verdictOf(part.text)).toMatchObject({ outcome: 'OK_WITH_ERASURES', erasedEvents: 5, toSequence: 51 })
    const without = part.text.split('\n').filter((line) => !line.includes('"sequence":352,'))
    expect(await verdictOf(without.join('\n'))).toMatchObject({ outcome: 'INVALID' })
    const table = await exported(world, workspace, { format: 'CSV' })
    expect(table.about.rowCount).toBe(352)
  })

  test('of which something was erased since it was begun is begun again', async () => {
    const workspace = world.globex.in.US
    const first = await exported(world, workspace)
    await eraseAll(workspace, [60])
    // As if a process had died before the first event, with the snapshot taken before the erasure.
    await control(
      `update export_job set status = 'QUEUED', rows_written = 0, bytes_written = 0, file_name = null, sha256 = null,
         completed_at = null, expires_at = null where ${jobRow(first.about.id)}`,
    )
    const again = await settled(world, workspace.key, first.about.id)
    expect(again.treeSize).toBe(first.about.treeSize! + 1)
    const text = await (await download(world, again.downloadUrl!)).text()
    expect(await verdictOf(text)).toMatchObject({ outcome: 'OK_WITH_ERASURES', erasedEvents: 6 })
  })

  test('fails with a reason where there is nothing to prove; a table may be empty', async () => {
    const workspace = world.globex.in.APAC
    const { id } = await request(world, workspace)
    expect(await settled(world, workspace.key, id)).toMatchObject({ status: 'FAILED', failure: /no event/ as never })
    const { text, about } = await exported(world, workspace, { format: 'CSV' })
    expect(text.trimEnd().split('\r\n')).toHaveLength(1)
    expect(about.rowCount).toBe(0)
  })

  test('as a table has no formula in it', async () => {
    const workspace = world.globex.in.AU
    const formulas = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '＝1+1']
    await world.record(
      workspace,
      formulas.map((text) => ({
        ...event(1),
        action: 'plain',
        actor: { id: text, name: text, email: 'a@b.example' },
        target: { id: text, type: 'thing' },
        traceId: text,
      })),
    )
    const { text, about } = await exported(world, workspace, { format: 'CSV' })
    expect(about.rowCount).toBe(formulas.length)
    const cells = text.split(/\r\n|,/).map((cell) => cell.replace(/^"/, ''))
    expect(cells.filter((cell) => /^[=+\-@\t\r＝]/.test(cell))).toEqual([])
    expect(text).toContain("'=1+1")
    expect(text.startsWith('sequence,id,occurredAt,receivedAt,action,')).toBe(true)
  })

  test('refuses a range that ends before it begins, an unknown workspace, and one too many', async () => {
    const { acme, globex } = world
    const ask = (key: string | null, input: Record<string, unknown>) =>
      world.gql(key, 'mutation ($input: RequestExportInput!) { requestExport(input: $input) { export { id } } }', {
        input: { format: 'NDJSON', ...input },
      })
    const codeOf = async (answer: ReturnType<typeof ask>) => (await answer).errors?.[0]?.extensions.code
    const at = '2026-01-01T00:00:00Z'
    expect(await codeOf(ask(acme.key, { workspaceId: acme.in.AU.gid, from: at, to: at }))).toBe('BAD_USER_INPUT')
    expect(await codeOf(ask(acme.key, { workspaceId: globex.in.AU.gid }))).toBe('NOT_FOUND')
    expect(await codeOf(ask(acme.in.AU.key, { workspaceId: acme.in.EU.gid }))).toBe('NOT_FOUND')
    expect(await codeOf(ask(null, { workspaceId: acme.in.AU.gid }))).toBe('UNAUTHENTICATED')
    const readOnly = await world.makeKey({
      companyId: acme.id,
      name: 'reader',
      scope: 'WORKSPACE',
      workspaceId: acme.in.AU.id,
      readOnly: true,
    })
    expect(await codeOf(ask(readOnly.key, { workspaceId: acme.in.AU.gid }))).toBeUndefined()
    // Ten that somebody else is writing.
    const { id: companyId, in: workspaces } = globex
    await control(
      `insert into export_job (id, company_id, workspace_id, region, format, status, created_at, lease_until)
       select gen_random_uuid(), '${companyId}', '${workspaces.AU.id}', 'AU', 'CSV', 'RUNNING', now(), now() + interval '1 hour'
       from generate_series(1, 10)`,
    )
    expect(await codeOf(ask(globex.key, { workspaceId: workspaces.EU.gid }))).toBe('RATE_LIMITED')
    await control(`delete from export_job where company_id = '${companyId}' and status = 'RUNNING'`)
    expect(await codeOf(ask(globex.key, { workspaceId: workspaces.EU.gid }))).toBeUndefined()
  })
})

describe('who sees an export', () => {
  test("its workspace's and company's keys, and nobody else's", async () => {
    const { acme, globex } = world
    const { about } = await exported(world, acme.in.EU)
    expect((await look(world, acme.key, about.id))?.id).toBe(about.id)
    for (const key of [globex.key, globex.in.EU.key, acme.in.US.key]) {
      expect(await look(world, key, about.id)).toBeNull()
      expect((await world.gql(key, `{ node(id: "${about.id}") { id } }`)).data.node).toBeNull()
    }
    const nobody = await world.gql(null, `{ export(id: "${about.id}") { id } }`)
    expect(nobody.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED')
    const other = await look(world, acme.key, about.id.replace('exp_eu', 'exp_us'))
    expect(other).toBeNull()
  })
})

describe('an export whose process died', () => {
  /** What a killed process leaves: so much noted as being on disk, and some more that isn't. */
  async function leaveBehind(workspace: WorldWorkspace, id: string, rows: number, text: string): Promise<string> {
    const kept = Buffer.from(`${text.split('\n').slice(0, rows).join('\n')}\n`)
    const uuid = parseGlobalId(id)!.uuid
    const name = `${uuid}.7.ndjson`
    await writeFile(join(folderOf(world, workspace), name), Buffer.concat([kept, Buffer.from('{"half a li')]))
    await control(
      `update export_job set status = 'RUNNING', lease_owner = '${randomUUID()}', lease_until = now() - interval '1 second',
         attempts = 7, rows_written = ${rows}, bytes_written = ${kept.length}, file_name = '${name}', sha256 = null,
         completed_at = null, expires_at = null where ${jobRow(id)}`,
    )
    return name
  }

  test.each([1, 250, 699, 700])('is finished by another one, with %i events on disk', async (rows) => {
    const workspace = world.acme.in.EU
    const { text, about } = await exported(world, workspace)
    await world.record(workspace, events(1))
    const left = await leaveBehind(workspace, about.id, Math.min(rows, about.rowCount!), text)
    const again = await eventually('the export to be done again', async () => {
      const found = await look(world, workspace.key, about.id)
      return found?.status === 'DONE' && found
    })
    const second = await (await download(world, again.downloadUrl!)).text()
    expect(second).toBe(text)
    expect(again.sha256).toBe(about.sha256)
    expect(await readdir(folderOf(world, workspace))).not.toContain(left)
  })

  test('is begun anew where its file is gone or too short', async () => {
    const workspace = world.acme.in.EU
    const { text, about } = await exported(world, workspace)
    const left = await leaveBehind(workspace, about.id, 100, text)
    await writeFile(join(folderOf(world, workspace), left), 'short')
    const again = await eventually('the export to be done again', async () => {
      const found = await look(world, workspace.key, about.id)
      return found?.status === 'DONE' && found
    })
    expect(await (await download(world, again.downloadUrl!)).text()).toBe(text)
  })

  test('is written by one process at a time, however many there are', async () => {
    const workspace = world.acme.in.US
    const others = await Promise.all([world.another({ exportLeaseMs: 1_000 }), world.another({ exportLeaseMs: 1_000 })])
    try {
      const ids = []
      for (let n = 0; n < 4; n++) ids.push((await request(world, workspace)).id)
      const done = await Promise.all(ids.map((id) => settled(world, workspace.key, id)))
      expect(done.map(({ status }) => status)).toEqual(['DONE', 'DONE', 'DONE', 'DONE'])
      expect(new Set(done.map(({ sha256 }) => sha256)).size).toBe(1)
      for (const id of ids)
        expect(await control(`select attempts from export_job where ${jobRow(id)}`)).toEqual([{ attempts: 1 }])
    } finally {
      for (const { app } of others) await app.close()
    }
  })
})

test('a file is deleted when its 24 hours are over, and the link with it', async () => {
  const workspace = world.acme.in.EU
  const { about } = await exported(world, workspace)
  const own = parseGlobalId(about.id)!.uuid
  const before = (await readdir(folderOf(world, workspace))).filter((name) => name.startsWith(own))
  expect(before).toHaveLength(1)
  clock.advance(24 * 3_600_000 - 60_000)
  const last = (await look(world, workspace.key, about.id))!
  expect(last.status).toBe('DONE')
  clock.advance(61_000)
  expect(await look(world, workspace.key, about.id)).toMatchObject({ status: 'EXPIRED', downloadUrl: null })
  expect((await download(world, last.downloadUrl!)).status).toBe(403)
  const { control: database } = world.app
  const deleted = await sweepExports(
    { control: database, clock, exportsDir: join(world.keyVaultDir, 'exports') },
    new AbortController().signal,
  )
  expect(deleted).toBeGreaterThan(0)
  expect((await readdir(folderOf(world, workspace))).filter((name) => name.startsWith(own))).toEqual([])
})

test('leaves out events past their retention, and proves the others', async () => {
  const workspace = world.acme.in.AU
  await world.record(workspace, events(10))
  clock.advance((workspace.retentionDays + 1) * 24 * 3_600_000)
  await world.record(workspace, events(5))
  const { text, about } = await exported(world, workspace, { from: '2001-01-01T00:00:00Z' })
  expect(sequencesOf(text)).toEqual(upTo(15, 11))
  expect(about).toMatchObject({ rowCount: 5, treeSize: 15 })
  expect(await verdictOf(text)).toMatchObject({ outcome: 'OK', fromSequence: 11, toSequence: 15 })
})
