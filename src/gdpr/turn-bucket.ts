import type { Database, Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import {
  beginBucketTurn,
  type BucketedKey,
  endBucketTurn,
  listTurnedBuckets,
  readGeneration,
} from './key-bucket.store.js'
import type { KeyVault } from '../sealing/key-vault.js'
import { type SubjectKeys, unwrapKey, wrapKey } from '../sealing/subject-keys.js'

const TIMEOUT_MS = 60_000

export interface TurnDeps {
  readonly vault: KeyVault
  readonly subjectKeys: SubjectKeys
  /** Told between the steps, so that a test can stop there. */
  readonly onStep: (step: string) => void
}

/**
 * Destroys subject keys by turning their bucket: a new bucket key is made, the bucket's other keys are wrapped by it,
 * the rows of the doomed ones are deleted, and the old bucket key, which opens what heap, WAL and backups keep of all of
 * them, is overwritten. `stillDoomed` is asked inside the transaction, when nobody can commit an event under these keys
 * any more, which of them may go. Answers how many did. `companies`: those whose events and keys it looks at.
 */
export async function turnBucket(
  deps: TurnDeps,
  { region, database }: { readonly region: Region; readonly database: Database },
  bucket: number,
  companies: readonly string[],
  stillDoomed: (tx: Transaction) => Promise<readonly string[]>,
): Promise<number> {
  const turned = await database.transaction({ companies, timeoutMs: TIMEOUT_MS }, async (tx) => {
    const rows = await beginBucketTurn(tx, bucket)
    const doomed = new Set(await stillDoomed(tx))
    if (!rows.some(({ id }) => doomed.has(id))) return null
    const generation = await readGeneration(tx, bucket)
    const kept = rows.filter(({ id }) => !doomed.has(id))
    const wrappings = await rewrap(deps, region, bucket, generation, kept)
    deps.onStep('bucket.rewrapped')
    const ids = [...doomed]
    const turn = { bucket, generation, doomed: ids, kept: kept.map(({ id }) => id), wrappings }
    const destroyed = await endBucketTurn(tx, turn)
    return { destroyed, generation: generation + 1, ids }
  })
  if (turned === null) return 0
  deps.onStep('bucket.turned')
  deps.subjectKeys.forget(region, turned.ids)
  deps.vault.forget(region)
  await deps.vault.destroyOlder(region, bucket, turned.generation)
  return turned.destroyed
}

async function rewrap(
  { vault }: TurnDeps,
  region: Region,
  bucket: number,
  generation: number,
  kept: readonly BucketedKey[],
): Promise<Buffer[]> {
  // Made even where nothing is left to wrap: whoever still has the old one in mind finds that it was replaced.
  const next = await vault.bucketKey(region, bucket, generation + 1)
  const wrappings: Buffer[] = []
  for (const row of kept) {
    const old = await vault.bucketKey(region, bucket, row.generation)
    wrappings.push(wrapKey(next, region, row, unwrapKey(old, region, row)))
  }
  return wrappings
}

/** Destroys the bucket keys that turns have replaced, should a process have died before it did. */
export async function destroyReplacedKeys(vault: KeyVault, region: Region, database: Database): Promise<void> {
  for (const { bucket, generation } of await listTurnedBuckets(database))
    await vault.destroyOlder(region, bucket, generation)
}
