import { createSecretKey, type KeyObject } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Viewer } from '../../src/auth/viewer.js'
import { Database } from '../../src/db/database.js'
import { ControlFacts } from '../../src/directory/control-facts.js'
import { controlEntities } from '../../src/directory/entities.js'
import type { CompanyFacts, ProjectFacts, WorkspaceFacts } from '../../src/directory/facts.js'
import { Committers } from '../../src/events/committers.js'
import { ingestEvent } from '../../src/events/ingest-event.js'
import { ingestEvents } from '../../src/events/ingest-events.js'
import { Indexer } from '../../src/events/indexer.js'
import type { IngestInput } from '../../src/events/ingest-input.js'
import type { Receipt } from '../../src/events/receipt.js'
import { systemClock, type Clock } from '../../src/kernel/clock.js'
import { DomainError } from '../../src/kernel/domain-error.js'
import { newUuid } from '../../src/kernel/ids.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { recordRegionSettings } from '../../src/regions/region-data-store.store.js'
import { RegionRegistry } from '../../src/regions/region-registry.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { DirectoryKeyVault } from '../../src/sealing/key-vault.js'
import { SubjectKeys } from '../../src/sealing/subject-keys.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { apiKeyHmac } from '../../src/auth/api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createProject } from '../../src/workspaces/create-project.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { pino } from 'pino'
import type { ClonedDatabases, DatabaseUrls } from './databases.js'

const fixedKey = (fill: number): KeyObject => createSecretKey(Buffer.alloc(32, fill))
const secrets = new ControlSecrets(fixedKey(1))
const pepper = fixedKey(2)
const masterKeys = new Map(regions.map((region, index) => [region, fixedKey(10 + index)]))

/** A folder for bucket keys that several recorders share. */
export async function makeVaultFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'hyrelog-vault-'))
  await chmod(path, 0o711)
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

export interface RecorderOptions {
  readonly control: DatabaseUrls
  readonly regionUrls: Readonly<Partial<Record<Region, string>>>
  readonly vaultFolder: string
  readonly clock?: Clock
  readonly poolMax?: number
  readonly waitingEventsMax?: number
}

/** What one process of the service needs to record: pools, facts, keys, committers, and the indexer (not started). */
export class Recorder {
  readonly control: Database
  readonly registry: RegionRegistry
  readonly facts: ControlFacts
  readonly subjectKeys: SubjectKeys
  readonly committers: Committers
  readonly indexer: Indexer
  readonly clock: Clock

  private constructor(options: RecorderOptions, control: Database, registry: RegionRegistry) {
    this.clock = options.clock ?? systemClock
    const { clock } = this
    this.control = control
    this.registry = registry
    this.facts = new ControlFacts({ control, secrets, clock })
    const vault = new DirectoryKeyVault({ directory: options.vaultFolder, masterKeys, clock })
    this.subjectKeys = new SubjectKeys({ vault, clock })
    this.indexer = new Indexer({ registry, control })
    this.committers = new Committers({
      registry,
      subjectKeys: this.subjectKeys,
      tagKey: (companyId) => this.facts.tagKey(companyId),
      onCommitted: (region) => this.indexer.nudge(region),
      ...(options.waitingEventsMax === undefined ? {} : { waitingEventsMax: options.waitingEventsMax }),
    })
  }

  static async open(options: RecorderOptions): Promise<Recorder> {
    const controlUrl = options.control.databaseUrl
    const control = Database.open({ name: 'CONTROL', url: controlUrl, entities: controlEntities })
    const settings = new Map(
      Object.entries(options.regionUrls).map(([region, databaseUrl]) => [
        region as Region,
        {
          databaseUrl,
          ownerUrl: undefined,
          readOnlyUrl: undefined,
          coldStorage: { provider: 'LOCAL', bucket: 'cold' },
        } as const,
      ]),
    )
    await recordRegionSettings(control, secrets, settings, 'missing')
    const { poolMax = 6 } = options
    const registry = await RegionRegistry.open({
      control,
      controlUrl,
      secrets,
      log: pino({ level: 'silent' }),
      poolMax,
    })
    return new Recorder(options, control, registry)
  }

  static on(databases: ClonedDatabases, vaultFolder: string, more: Partial<RecorderOptions> = {}): Promise<Recorder> {
    return Recorder.open({
      control: databases.control,
      regionUrls: Object.fromEntries(regions.map((region) => [region, databases.regions[region].databaseUrl])),
      vaultFolder,
      ...more,
    })
  }

  database(region: Region): Database {
    return this.registry.get(region).database
  }

  async company(name = `Company ${newUuid()}`): Promise<CompanyFacts> {
    return createCompany({ control: this.control, secrets, clock: systemClock }, { name, slug: newUuid() })
  }

  async workspace(company: CompanyFacts, dataRegion: Region = 'EU'): Promise<WorkspaceFacts> {
    const name = `Workspace ${newUuid()}`
    return createWorkspace({ control: this.control, clock: systemClock }, { companyId: company.id, name, dataRegion })
  }

  async project(workspace: WorkspaceFacts): Promise<ProjectFacts> {
    return createProject({ control: this.control, clock: systemClock }, { workspaceId: workspace.id, name: 'Project' })
  }

  /** The viewer of a fresh key of the workspace, or of the company where there is none. */
  async viewer(company: CompanyFacts, workspace: WorkspaceFacts | null, readOnly = false): Promise<Viewer> {
    const scope = workspace === null ? 'COMPANY' : 'WORKSPACE'
    const { secret } = await createApiKey(
      { control: this.control, pepper, clock: systemClock },
      { companyId: company.id, workspaceId: workspace?.id ?? null, name: 'key', scope, readOnly },
    )
    const key = await this.facts.apiKey(apiKeyHmac(pepper, secret))
    if (key === null) throw new Error('the key was not stored')
    return { kind: 'apiKey', key }
  }

  /** A fresh company with one workspace and its key. */
  async tenant(dataRegion: Region = 'EU'): Promise<Tenant> {
    const company = await this.company()
    const workspace = await this.workspace(company, dataRegion)
    return { company, workspace, viewer: await this.viewer(company, workspace) }
  }

  async one(viewer: Viewer, input: IngestInput): Promise<RecordedReceipt> {
    return recorded(await ingestEvent(this, viewer, input))
  }

  async many(viewer: Viewer, inputs: readonly IngestInput[]): Promise<readonly RecordedReceipt[]> {
    return (await ingestEvents(this, viewer, inputs)).map(recorded)
  }

  async close(): Promise<void> {
    await this.indexer.stop()
    await this.committers.drain()
    await this.registry.close(2_000)
    await this.control.close(2_000)
  }
}

type RecordedReceipt = Extract<Receipt, { status: 'RECORDED' }>

/** A recorder has no queue. */
function recorded(receipt: Receipt): RecordedReceipt {
  if (receipt.status === 'QUEUED') throw new Error('the event was queued')
  return receipt
}

export interface Tenant {
  readonly company: CompanyFacts
  readonly workspace: WorkspaceFacts
  readonly viewer: Viewer
}

/** The `DomainError` that the promise is rejected with. */
export async function refusalOf(promise: Promise<unknown>): Promise<DomainError> {
  const outcome: unknown = await promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
  if (outcome instanceof DomainError) return outcome
  throw new Error('no DomainError', { cause: outcome })
}
