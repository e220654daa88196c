import type { Logger } from 'pino'
import type { SigningKeys } from '../checkpoints/signing-keys.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import { ReplicaAlarms } from '../replication/replica-alarms.js'
import { ReplicaReports } from '../replication/replica-reports.js'
import { Replicator } from '../replication/replicator.js'
import type { ReplicationDeps } from '../replication/replication-deps.js'
import type { KeyVault } from '../sealing/key-vault.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'

export interface ReplicationParts {
  readonly control: Database
  readonly registry: RegionRegistry
  readonly vault: KeyVault
  readonly subjectKeys: SubjectKeys
  readonly signingKeys: SigningKeys
  readonly clock: Clock
  readonly log: Logger
}

/** What copies chains to the replicas of their companies. Not yet started. */
export function makeReplication({ clock, ...parts }: ReplicationParts): {
  readonly replication: ReplicationDeps
  readonly replicator: Replicator
} {
  const { control, log } = parts
  const replication = { ...parts, alarms: new ReplicaAlarms(log, clock), reports: new ReplicaReports(control) }
  const replicator = new Replicator({
    ...replication,
    onFailure: (replica, err) =>
      log.warn({ replica, err }, 'chains could not be copied to a replica; it is tried again'),
  })
  return { replication, replicator }
}
