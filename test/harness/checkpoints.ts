import { Client } from 'pg'
import { pino } from 'pino'
import { expect } from 'vitest'
import { parseCheckpoint } from '../../src/ledger/checkpoint.js'
import { CompactRange } from '../../src/ledger/compact-range.js'
import { toHex } from '../../src/ledger/crypto.js'
import { type NoteKey, verifyNote } from '../../src/ledger/signed-note.js'
import type { World, WorldWorkspace } from './app.js'
import { storedEvents } from './chain.js'
import { eventually } from './eventually.js'

export const logName = 'test.local'
export interface CheckpointAnswer {
  readonly treeSize: number
  readonly rootHash: string
  readonly signedAt: string
  readonly note: string
}

export const event = (n: number) => ({ action: 'thing.done', category: 'test', payload: { n } })
export const events = (count: number) => Array.from({ length: count }, (_, n) => event(n))
export const bytes = (hex: string) => Buffer.from(hex, 'hex')

export async function checkpointOf(
  world: World,
  workspace: WorldWorkspace,
  key = workspace.key,
): Promise<CheckpointAnswer | null> {
  const { data, errors } = await world.gql(
    key,
    'query ($id: ID!) { checkpoint(workspaceId: $id) { treeSize rootHash signedAt note } }',
    { id: workspace.gid },
  )
  expect(errors).toBeUndefined()
  return data.checkpoint
}

export const checkpointAt = (world: World, workspace: WorldWorkspace, size: number, timeoutMs = 20_000) =>
  eventually(
    `a checkpoint of ${size}`,
    async () => {
      const checkpoint = await checkpointOf(world, workspace)
      return checkpoint?.treeSize === size && checkpoint
    },
    timeoutMs,
  )

export async function publicKeys(url: string): Promise<(NoteKey & { retiredAt: string | null })[]> {
  const response = await fetch(new URL('/.well-known/hyrelog-keys.json', url))
  expect(response.status).toBe(200)
  const body = (await response.json()) as {
    logName: string
    keys: { name: string; ed25519: string; from: string; retiredAt: string | null }[]
  }
  expect(body.logName).toBe(logName)
  return body.keys.map(({ name, ed25519, retiredAt }) => ({ name, publicKey: bytes(ed25519), retiredAt }))
}

/** The public key that signed the note; fails where none of the published ones of that name did. */
export async function signerIn(url: string, checkpoint: CheckpointAnswer, workspace: WorldWorkspace): Promise<string> {
  const parsed = parseCheckpoint(checkpoint.note)
  expect(parsed).not.toBeNull()
  expect(parsed!.origin).toBe(`${logName}/ws/${workspace.id}`)
  expect(parsed!.treeSize).toBe(checkpoint.treeSize)
  expect(toHex(parsed!.rootHash)).toBe(checkpoint.rootHash)
  const keys = (await publicKeys(url)).filter(({ name }) => name === `${logName}/${workspace.dataRegion}`)
  const key = verifyNote(parsed!.note, keys)
  expect(key).not.toBeNull()
  return Buffer.from(key!.publicKey).toString('hex')
}

export async function asSuperuser(world: World, database: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: world.databases.superuserUrl(database) })
  await client.connect()
  try {
    await client.query('set session_replication_role = replica')
    for (const table of ['event', 'chain_head', 'merkle_node', 'checkpoint', 'checkpoint_history'])
      await client.query(`alter table ${table} disable trigger all`)
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

export async function ownerRows<Row extends object>(world: World, database: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: world.databases.superuserUrl(database) })
  await client.connect()
  try {
    return (await client.query(sql)).rows as Row[]
  } finally {
    await client.end()
  }
}

export const databaseOf = (world: World, region: WorldWorkspace['dataRegion']) => world.databases.regions[region].name

/** Sets a chain back to the size it had, with all that was stored of it since, as a restored old backup would. */
export const setBack = (
  world: World,
  { id, dataRegion }: WorldWorkspace,
  size: number,
  frontier: Buffer,
  hash: Buffer,
) =>
  asSuperuser(world, databaseOf(world, dataRegion), [
    `delete from event where workspace_id = '${id}' and sequence > ${size}`,
    `delete from merkle_node where workspace_id = '${id}' and (index + 1) * 256 > ${size}`,
    `delete from checkpoint_history where workspace_id = '${id}' and tree_size > ${size}`,
    `delete from checkpoint where workspace_id = '${id}'`,
    `delete from idempotency_key where workspace_id = '${id}' and sequence > ${size}`,
    `update chain_head set sequence = ${size}, frontier = '\\x${frontier.toString('hex')}', hash = '\\x${hash.toString('hex')}' where workspace_id = '${id}'`,
  ])

/** What a chain's head was at an earlier size, from its events. */
export async function headAt(
  world: World,
  workspace: WorldWorkspace,
  size: number,
): Promise<{ frontier: Buffer; hash: Buffer }> {
  const range = CompactRange.empty()
  const stored = (await storedEvents(world.app.registry.get(workspace.dataRegion).database, workspace)).slice(0, size)
  for (const { hash } of stored) range.append(hash)
  return { frontier: range.toBytes(), hash: stored.at(-1)!.hash }
}

export async function copiesOf(world: World, { id, dataRegion }: WorldWorkspace) {
  const control = await ownerRows<{ tree_size: string; note: string; home_region: string }>(
    world,
    world.databases.control.name,
    `select tree_size, note, home_region from checkpoint_copy where workspace_id = '${id}'`,
  )
  const abroad = []
  for (const region of ['AU', 'US', 'EU', 'APAC'] as const) {
    const rows = await ownerRows<{ tree_size: string; note: string }>(
      world,
      databaseOf(world, region),
      `select tree_size, note from foreign_checkpoint where workspace_id = '${id}'`,
    )
    abroad.push(...rows.map((row) => ({ region, ...row })))
    if (region === dataRegion) expect(rows).toEqual([])
  }
  return { control, abroad }
}

export const copied = (world: World, workspace: WorldWorkspace, size: number) =>
  eventually(`copies of ${size}`, async () => {
    const { control, abroad } = await copiesOf(world, workspace)
    return Number(control[0]?.tree_size) === size && Number(abroad[0]?.tree_size) === size && { control, abroad }
  })

/** A logger that keeps the alarms it is given. */
export function listening() {
  const alarms: { kind: string; workspaceId: string; place: string; knownSize: number; treeSize: number }[] = []
  const log = pino(
    { level: 'error' },
    {
      write: (line: string) => {
        const entry = JSON.parse(line) as { alarm?: (typeof alarms)[number] }
        if (entry.alarm !== undefined) alarms.push(entry.alarm)
      },
    },
  )
  return { log, alarms }
}
