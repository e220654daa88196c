import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseGlobalId } from '../../src/kernel/ids.js'
import { verifyExport } from '../../src/sdk/index.js'
import { createWorld, sendGraphql, type World } from '../harness/app.js'
import { makeAppProcesses } from '../harness/app-process.js'
import { events, ownerRows } from '../harness/checkpoints.js'
import { eventually } from '../harness/eventually.js'
import { download, linesOf, settled } from '../harness/exports.js'

const EVENTS = 20_000
const ATTEMPTS_MAX = 20

let world: World
let processes: ReturnType<typeof makeAppProcesses>
beforeAll(async () => {
  world = await createWorld({ exportLeaseMs: 1_000 })
  processes = makeAppProcesses(world)
  for (let at = 0; at < EVENTS; at += 2_000) await world.record(world.acme.in.EU, events(2_000))
}, 120_000)
afterAll(async () => {
  processes?.remove()
  await world?.close()
})

const rowOf = async (id: string) => {
  const rows = await ownerRows<{ status: string; rows_written: string; attempts: number }>(
    world,
    world.databases.control.name,
    `select status, rows_written, attempts from export_job where id = '${parseGlobalId(id)!.uuid}'`,
  )
  return rows[0]!
}

/** Asks a process for an export and kills it in the middle; null where it was faster than we are. */
async function killedInTheMiddle(): Promise<string | null> {
  const own = await processes.start()
  const workspace = world.acme.in.EU
  const asked = await sendGraphql(
    own.url,
    workspace.key,
    `mutation { requestExport(input: { workspaceId: "${workspace.gid}", format: NDJSON }) { export { id } } }`,
  )
  const { id } = asked.data.requestExport.export as { id: string }
  const { status } = await eventually('the export to be under way', async () => {
    const row = await rowOf(id)
    return (row.status === 'DONE' || Number(row.rows_written) > 0) && row
  })
  await own.kill()
  return status === 'RUNNING' && (await rowOf(id)).status === 'RUNNING' ? id : null
}

test(
  'an export whose process is killed in the middle is completed by another one, each event once',
  // Killing in the middle is a matter of luck where other tests take the processor; what is expected is not.
  { timeout: 120_000, retry: 3 },
  async () => {
    let id: string | null = null
    for (let n = 0; n < ATTEMPTS_MAX && id === null; n++) id = await killedInTheMiddle()
    expect(id, 'a process that was killed in the middle').not.toBeNull()
    const before = Number((await rowOf(id!)).rows_written)
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(EVENTS)
    const done = await settled(world, world.acme.in.EU.key, id!, 60_000)
    expect(done).toMatchObject({ status: 'DONE', rowCount: EVENTS })
    expect((await rowOf(id!)).attempts).toBe(2)
    const text = await (await download(world, done.downloadUrl!)).text()
    const sequences = linesOf(text)
      .slice(0, -1)
      .map(({ sequence }) => sequence)
    expect(sequences).toEqual(Array.from({ length: EVENTS }, (_, n) => n + 1))
    expect(await verifyExport(new Blob([text]).stream())).toMatchObject({ outcome: 'OK', checkedEvents: EVENTS })
  },
)
