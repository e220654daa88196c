import DataLoader from 'dataloader'
import type { SqlEntityManager } from '@mikro-orm/postgresql'
import type { Database } from '../db/database.js'
import { type CompanyVisibility, isVisible } from './company-visibility.js'
import type { ControlFacts } from './control-facts.js'
import { readControl } from './with-control.js'

/** No page or nested list asks for more of one kind; what does is split. */
const BATCH_KEYS_MAX = 1_000

/** What the loaders of one request look up with, and for whom. */
export interface DirectoryLoaderDeps {
  readonly control: Database
  readonly facts: ControlFacts
  /** Rows of any other company are answered as absent. */
  readonly companies: CompanyVisibility
}

/** A DataLoader over things of the directory by id. */
export class DirectoryLoader<V extends object> extends DataLoader<string, V | null> {
  /** What `load` would answer, where memory alone may; undefined: `load` it. Spares a page of events its promises. */
  readonly peek: (id: string) => V | undefined

  constructor(batch: DataLoader.BatchLoadFn<string, V | null>, peek: (id: string) => V | undefined) {
    super(batch, { maxBatchSize: BATCH_KEYS_MAX })
    this.peek = peek
  }
}

/**
 * A DataLoader over things of the directory by id: what is remembered is not asked for, the rest of a batch costs one
 * query, and what the caller may not see is null like what is not there.
 */
export function directoryLoader<V extends object>(
  deps: DirectoryLoaderDeps,
  source: {
    companyIdOf(value: V): string
    peek(id: string): V | undefined
    /** One query; rows of these companies alone. */
    find(em: SqlEntityManager, ids: readonly string[], companies: CompanyVisibility): Promise<ReadonlyMap<string, V>>
  },
): DirectoryLoader<V> {
  const isShown = (value: V): boolean => isVisible(deps.companies, source.companyIdOf(value))
  return new DirectoryLoader<V>(
    async (ids) => {
      const { companies } = deps
      if (companies.length === 0) return ids.map(() => null)
      const remembered = ids.map((id) => source.peek(id))
      const missing = ids.filter((_, i) => remembered[i] === undefined)
      const found =
        missing.length === 0 ? null : await readControl(deps.control, (em) => source.find(em, missing, companies))
      return ids.map((id, i) => {
        const value = remembered[i] ?? found?.get(id)
        return value !== undefined && isShown(value) ? value : null
      })
    },
    (id) => {
      const value = source.peek(id)
      return value !== undefined && isShown(value) ? value : undefined
    },
  )
}

/** Lists by their owner's id: one query for all owners of a batch. */
export function directoryListLoader<V>(
  deps: DirectoryLoaderDeps,
  ownerOf: (value: V) => string,
  find: (em: SqlEntityManager, ownerIds: readonly string[], companies: CompanyVisibility) => Promise<readonly V[]>,
): DataLoader<string, readonly V[]> {
  return new DataLoader(
    async (ownerIds) => {
      const { companies } = deps
      if (companies.length === 0) return ownerIds.map(() => [])
      const byOwner = Map.groupBy(await readControl(deps.control, (em) => find(em, ownerIds, companies)), ownerOf)
      return ownerIds.map((ownerId) => byOwner.get(ownerId) ?? [])
    },
    { maxBatchSize: BATCH_KEYS_MAX },
  )
}
