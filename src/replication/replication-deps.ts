import type { SigningKeys } from '../checkpoints/signing-keys.js'
import type { Database } from '../db/database.js'
import type { Log } from '../db/log.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { KeyVault } from '../sealing/key-vault.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import type { ReplicaAlarms } from './replica-alarms.js'
import type { ReplicaReports } from './replica-reports.js'

/** What copying chains takes. */
export interface ReplicationDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'list' | 'find' | 'use'>
  readonly vault: KeyVault
  readonly subjectKeys: SubjectKeys
  readonly signingKeys: SigningKeys
  readonly alarms: ReplicaAlarms
  readonly reports: ReplicaReports
  readonly log: Log
  /** Ends what is under way in a database once it is aborted. */
  readonly signal?: AbortSignal
  /** Told between the steps, so that a test can stop there. */
  readonly onStep?: (step: string) => void
}

/** One step in a replica's database. */
export const STEP_TIMEOUT_MS = 30_000
/** What is read at home meanwhile: a home that hangs is not waited for as long. */
export const HOME_TIMEOUT_MS = 10_000
