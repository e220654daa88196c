import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveRegion } from '../../src/archive/archive-events.js'
import type { ArchiveDeps } from '../../src/archive/archive-deps.js'
import { coldArchiveJob } from '../../src/archive/cold-archive.job.js'
import { restoreJob } from '../../src/archive/restore.job.js'
import { retentionJob } from '../../src/archive/retention.job.js'
import type { Job } from '../../src/jobs/job.js'
import type { AppOptions } from '../../src/app.js'
import type { Clock } from '../../src/kernel/clock.js'
import type { Region } from '../../src/kernel/region.js'
import { LocalObjectStore } from '../../src/objects/local/local-store.js'
import type { World, WorldWorkspace } from './app.js'
import { eventually } from './eventually.js'

export const DAY_MS = 86_400_000

const noProgress = (): void => undefined
const never = new AbortController().signal

/** Waits until the global index knows every event: what it does not know is not archived. */
export const indexed = ({ app }: Pick<World, 'app'>): Promise<true> =>
  eventually('the index', async () => {
    const counts = await Promise.all(app.registry.list().map(({ region }) => app.indexer.pendingOf(region)))
    return counts.every((count) => count === 0) && true
  })

/** Runs a job of one region, as the scheduler would. */
export function runRegionJob(job: Job, region: Region): Promise<number> {
  if (!job.perRegion) throw new Error(`${job.name} has no runs per region`)
  return job.run({ region, signal: never, progress: noProgress, resumeFrom: null })
}

/** Marks what is past its retention in a region. */
export const mark = ({ app }: Pick<World, 'app'>, region: Region, more: Partial<ArchiveDeps> = {}): Promise<number> =>
  runRegionJob(retentionJob({ ...app.archive, ...more }), region)

/** Marks and archives; answers how many events left the table. */
export async function archiveNow(
  world: Pick<World, 'app'>,
  region: Region,
  more: Partial<ArchiveDeps> = {},
): Promise<number> {
  await indexed(world)
  await mark(world, region, more)
  return archiveMarked(world, region, more)
}

/** Archives what is marked. */
export const archiveMarked = (
  { app }: Pick<World, 'app'>,
  region: Region,
  more: Partial<ArchiveDeps> = {},
): Promise<number> =>
  app.registry.use(region, ({ database }) =>
    archiveRegion({ ...app.archive, ...more }, { region, database }, never, noProgress),
  )

/** What the API shows of an archive object. */
export interface ShownObject {
  readonly id: string
  readonly day: string
  readonly key: string
  readonly storageClass: string
  readonly firstSequence: number
  readonly lastSequence: number
  readonly eventCount: number
  readonly sizeBytes: number
  readonly sha256: string
  readonly fault: string | null
  readonly restoredUntil: string | null
}
export const objectFields =
  'id day key storageClass firstSequence lastSequence eventCount sizeBytes sha256 fault restoredUntil'

/** The archive objects of a workspace, newest day first. */
export async function listObjects(world: World, workspace: WorldWorkspace): Promise<ShownObject[]> {
  const answer = await world.gql(
    workspace.key,
    `query ($id: ID!) { archiveObjects(workspaceId: $id, first: 500) { nodes { ${objectFields} } totalCount } }`,
    { id: workspace.gid },
  )
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors))
  const { nodes, totalCount } = answer.data.archiveObjects
  if (totalCount !== nodes.length) throw new Error('the total is not that of the list')
  return nodes
}

/** Moves what is over a year old to cold storage. */
export const coldNow = ({ app }: Pick<World, 'app'>, region: Region): Promise<number> =>
  runRegionJob(coldArchiveJob(app.archive), region)

/** Follows restores. */
export const followRestores = ({ app }: Pick<World, 'app'>, region: Region): Promise<number> =>
  runRegionJob(restoreJob(app.archive), region)

/** Buckets whose restores take a while. */
export const slowBuckets =
  (clock: Clock, restoreDelayMs: number): NonNullable<AppOptions['openStore']> =>
  (place) =>
    Promise.resolve(new LocalObjectStore({ folder: place.bucket, clock, restoreDelayMs }))

/** Where the local bucket of a region has its files. */
export const bucketFolder = (world: World, region: Region): string =>
  join(world.keyVaultDir, 'cold', region.toLowerCase())

/** The keys that a bucket has, wherever they are in it. */
export async function keysIn(world: World, region: Region): Promise<string[]> {
  const keys: string[] = []
  for (const place of ['warm', 'cold']) {
    const folder = join(bucketFolder(world, region), place)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of entries)
      if (entry.isFile()) keys.push(join(entry.parentPath, entry.name).slice(folder.length + 1))
  }
  return keys.sort()
}
