import type { KeyObject } from 'node:crypto'
import type { CacheFigures } from '../cache/cache-figures.js'
import type { SharedCache } from '../cache/shared-cache.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { notFound } from '../kernel/domain-error.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import { type AsOf, FactCache, FactTable } from './fact-cache.js'
import type { ApiKeyFacts, CompanyFacts, ErasureFloor, ProjectFacts, WorkspaceFacts } from './facts.js'
import {
  type CompanyWithTagKey,
  findApiKeyFacts,
  findCompanyFacts,
  findProjectFacts,
  findWorkspaceFacts,
  listErasureFloors,
  listWorkspaceFacts,
} from './facts.store.js'
import { SharedFacts } from './shared-facts.js'

export type { ApiKeyFacts, CompanyFacts, ProjectFacts, WorkspaceFacts } from './facts.js'

/** The channel on which the control database tells of changes; payload `{table, id, companyId}`. */
export const FACTS_CHANNEL = 'hyrelog_facts'

export interface ControlFactsOptions {
  readonly control: Database
  readonly secrets: ControlSecrets
  readonly clock: Clock
  /** Where processes tell each other what they have read; left out: each reads for itself. */
  readonly sharedCache?: SharedCache | undefined
}

/**
 * What a request must know of the control database, in memory: at most 30 s old, dropped at once when a change is
 * heard of, all of it when the listener has been deaf; at most 10 minutes old while the control database is down.
 * Every look-up throws `REGION_UNAVAILABLE` (regions CONTROL) where it is down and the thing not known.
 */
export class ControlFacts {
  readonly #control: Database
  readonly #secrets: ControlSecrets
  readonly #cache: FactCache
  readonly #shared: SharedFacts | undefined
  readonly #apiKeys = new FactTable<ApiKeyFacts>()
  readonly #companies = new FactTable<CompanyFacts>()
  readonly #tagKeys = new FactTable<KeyObject>()
  readonly #workspaces = new FactTable<WorkspaceFacts>()
  readonly #workspaceLists = new FactTable<readonly WorkspaceFacts[]>()
  readonly #projects = new FactTable<ProjectFacts>()
  readonly #erasureFloors = new FactTable<readonly ErasureFloor[]>()

  constructor(options: ControlFactsOptions) {
    const { control, clock, sharedCache: shared } = options
    this.#control = control
    this.#secrets = options.secrets
    this.#cache = new FactCache(clock)
    this.#shared = shared === undefined ? undefined : new SharedFacts({ shared, control, clock })
  }

  get figures(): CacheFigures {
    return this.#cache.figures
  }

  /** The key of this HMAC, expired and revoked ones too, or null. */
  apiKey(secretHmac: Buffer): Promise<ApiKeyFacts | null> {
    return this.#cache.read(this.#apiKeys, secretHmac.toString('latin1'), async (asOf) => {
      const found = await findApiKeyFacts(this.#control, secretHmac)
      if (found === null) return null
      const { key } = found
      this.#keepCompany(found.owner, asOf)
      if (key.workspace !== null) this.#keepWorkspace(key.workspace, asOf)
      return { value: key, companyId: key.companyId }
    })
  }

  company(id: string): Promise<CompanyFacts | null> {
    return this.#cache.read(this.#companies, id, async (asOf) => {
      const shared = await this.#shared?.find('company', id)
      if (shared != null) return shared
      const found = await findCompanyFacts(this.#control, id)
      if (found === null) return null
      this.#keepCompany(found, asOf)
      const fact = { value: found.company, companyId: id }
      this.#shared?.keep('company', id, { ...fact, atMs: asOf.atMs, seenTo: found.seenTo })
      return fact
    })
  }

  workspace(id: string): Promise<WorkspaceFacts | null> {
    return this.#cache.read(this.#workspaces, id, async (asOf) => {
      const shared = await this.#shared?.find('workspace', id)
      if (shared != null) return shared
      const found = await findWorkspaceFacts(this.#control, id)
      if (found === null) return null
      this.#keepCompany(found.owner, asOf)
      const fact = { value: found.workspace, companyId: found.workspace.companyId }
      this.#shared?.keep('workspace', id, { ...fact, atMs: asOf.atMs, seenTo: found.owner.seenTo })
      return fact
    })
  }

  /** A company's workspaces, oldest first, archived ones too. */
  async workspacesOf(companyId: string): Promise<readonly WorkspaceFacts[]> {
    const list = await this.#cache.read(this.#workspaceLists, companyId, async (asOf) => {
      const shared = await this.#shared?.find('workspaces', companyId)
      if (shared != null) return shared
      const { workspaces: value, seenTo } = await listWorkspaceFacts(this.#control, companyId)
      for (const workspace of value) this.#keepWorkspace(workspace, asOf)
      if (seenTo !== null) this.#shared?.keep('workspaces', companyId, { value, companyId, atMs: asOf.atMs, seenTo })
      return { value, companyId }
    })
    return list ?? []
  }

  /** The newest erasure of each of a company's chains. */
  async erasureFloors(companyId: string): Promise<readonly ErasureFloor[]> {
    const floors = await this.#cache.read(this.#erasureFloors, companyId, async () => ({
      value: await listErasureFloors(this.#control, companyId),
      companyId,
    }))
    return floors ?? []
  }

  project(id: string): Promise<ProjectFacts | null> {
    return this.#cache.read(this.#projects, id, async (asOf) => {
      const shared = await this.#shared?.find('project', id)
      if (shared != null) return shared
      const found = await findProjectFacts(this.#control, id)
      if (found === null) return null
      const fact = { value: found.project, companyId: found.project.companyId }
      this.#shared?.keep('project', id, { ...fact, atMs: asOf.atMs, seenTo: found.seenTo })
      return fact
    })
  }

  /** The key of a company's equality tags. `NOT_FOUND` where there is no such company. */
  async tagKey(companyId: string): Promise<KeyObject> {
    const key = await this.#cache.read(this.#tagKeys, companyId, async (asOf) => {
      const found = await findCompanyFacts(this.#control, companyId)
      if (found === null) return null
      this.#cache.keep(this.#companies, companyId, { value: found.company, companyId }, asOf)
      return { value: this.#secrets.openTagKey(companyId, found.tagKeySealed), companyId }
    })
    if (key === null) throw notFound('Company')
    return key
  }

  /** A company that memory alone may answer for; undefined: ask. */
  peekCompany(id: string): CompanyFacts | undefined {
    return this.#cache.peek(this.#companies, id)
  }

  peekWorkspace(id: string): WorkspaceFacts | undefined {
    return this.#cache.peek(this.#workspaces, id)
  }

  peekProject(id: string): ProjectFacts | undefined {
    return this.#cache.peek(this.#projects, id)
  }

  /** What the listener on {@link FACTS_CHANNEL} heard. A payload that isn't understood drops everything. */
  notified(payload: string): void {
    const companyId = companyOf(payload)
    if (companyId === undefined) this.reset()
    else if (companyId !== null) {
      this.#cache.changed(companyId)
      this.#shared?.changed(companyId)
    }
  }

  /** The listener is deaf from now on, until `reset`. */
  lost(): void {
    this.#shared?.lost()
  }

  /** The listener (re)connected: whatever happened meanwhile was missed. */
  reset(): void {
    this.#cache.reset()
    this.#shared?.reset()
  }

  #keepCompany({ company, tagKeySealed }: CompanyWithTagKey, asOf: AsOf): void {
    const companyId = company.id
    this.#cache.keep(this.#companies, companyId, { value: company, companyId }, asOf)
    const value = this.#secrets.openTagKey(companyId, tagKeySealed)
    this.#cache.keep(this.#tagKeys, companyId, { value, companyId }, asOf)
  }

  #keepWorkspace(workspace: WorkspaceFacts, asOf: AsOf): void {
    this.#cache.keep(this.#workspaces, workspace.id, { value: workspace, companyId: workspace.companyId }, asOf)
  }
}

/** Null for a change that no company owns, undefined for what is no such message. */
function companyOf(payload: string): string | null | undefined {
  try {
    const message: unknown = JSON.parse(payload)
    if (typeof message !== 'object' || message === null || !('companyId' in message)) return undefined
    const { companyId } = message
    return typeof companyId === 'string' || companyId === null ? companyId : undefined
  } catch {
    return undefined
  }
}
