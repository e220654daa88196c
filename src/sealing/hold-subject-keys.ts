import type { Transaction } from '../db/database.js'
import type { Region } from '../kernel/region.js'
import type { SubjectKeys } from './subject-keys.js'

/** Something was sealed with a key that has been destroyed meanwhile: seal it again. */
export class SubjectKeysDestroyedError extends Error {
  override readonly name = 'SubjectKeysDestroyedError'
}

/**
 * Makes sure, in the transaction that stores what was sealed, that its keys are there and stay until it ends. `epoch` is
 * `subjectKeys.epoch` as it was before the keys were asked for; where no key was destroyed since, this is one small
 * statement. Call it before anything is locked. Answers the epoch as it is now and stays until the transaction ends. Throws
 * {@link SubjectKeysDestroyedError}; the next `ensure` then answers keys that exist.
 */
export async function holdSubjectKeys(
  tx: Transaction,
  held: {
    readonly subjectKeys: Pick<SubjectKeys, 'renew'>
    readonly region: Region
    readonly epoch: number
    /** Ids of the keys that sealed it; asked for where it matters only. */
    readonly keyIds: () => readonly string[]
  },
): Promise<number> {
  const { subjectKeys, region, epoch, keyIds } = held
  const [row] = await tx.query<{ epoch: string }>('select hold_subject_keys() as epoch', [], 'hold_subject_keys')
  const current = Number(row!.epoch)
  if (current === epoch) return current
  subjectKeys.renew(region, current)
  const ids = [...new Set(keyIds())]
  const found = await tx.query('select from subject_key where id = any ($1::uuid[])', [ids], 'subject_keys_there')
  if (found.length < ids.length) throw new SubjectKeysDestroyedError('a key was destroyed before its use was stored')
  return current
}

/**
 * Raises the region's fence: what was accepted before, by whatever process, is committed when this transaction has
 * committed, or never will be.
 */
export async function raiseFence(tx: Transaction): Promise<void> {
  await tx.query('select raise_fence()', [], 'raise_fence')
}

/** The epoch below which nothing is committed any more; to be asked while the keys are held. */
export async function readFence(tx: Transaction): Promise<number> {
  const [row] = await tx.query<{ fence: string }>('select fence from key_epoch', [], 'read_fence')
  return Number(row!.fence)
}
