import type { KeyObject } from 'node:crypto'
import type { Database } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { Clock } from '../kernel/clock.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ControlSecrets } from '../sealing/control-secrets.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'

/** What requests of data subjects are made of. */
export interface GdprDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'list' | 'find' | 'use'>
  readonly facts: ControlFacts
  readonly secrets: ControlSecrets
  readonly subjectKeys: SubjectKeys
  readonly clock: Clock
}

/** What lists of them need besides. */
export interface GdprListDeps extends GdprDeps {
  /** Signs cursors. */
  readonly cursorKey: KeyObject
}
