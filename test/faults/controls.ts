import { Client } from 'pg'
import { regions } from '../../src/kernel/region.js'
import type { FaultKind } from './fault-plan.js'
import type { StreamCounts } from './check-streams.js'
import type { FaultWorld, WorldOptions } from './world.js'

export const controlNames = ['synchronous-commit-off', 'no-unique-index', 'no-rule-1'] as const
export type ControlName = (typeof controlNames)[number]

/** A run with one safeguard taken away: the suite is worth something only if it then fails. */
export interface Control {
  /** What is taken away. */
  readonly description: string
  /** What the run has to find. */
  readonly finds: keyof StreamCounts
  readonly faults: number
  readonly events: number
  /** The faults that the safeguard is for. */
  readonly only: readonly FaultKind[]
  readonly world?: Pick<WorldOptions, 'regionSettings' | 'withoutRule'>
  readonly prepare?: (world: FaultWorld) => Promise<void>
}

async function runInRegions(world: FaultWorld, sql: string): Promise<void> {
  for (const region of regions) {
    const client = new Client({ connectionString: world.regions[region].superuserUrl })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
}

export const controls: Readonly<Record<ControlName, Control>> = {
  'synchronous-commit-off': {
    description: 'regions acknowledge commits before they are on disk (synchronous_commit = off)',
    finds: 'lost',
    faults: 4,
    events: 1_000,
    only: ['kill-region'],
    // The log stays in the server's own memory for as long as PostgreSQL allows.
    world: { regionSettings: { synchronous_commit: 'off', wal_writer_delay: '10s' } },
  },
  'no-unique-index': {
    description: 'regions forget idempotency keys: the index that makes a key unique is gone, and so are its rows',
    finds: 'doubled',
    faults: 4,
    events: 1_000,
    only: ['lose-commits', 'kill-api'],
    prepare: (world) =>
      runInRegions(
        world,
        `alter table idempotency_key drop constraint idempotency_key_pkey;
         create function forget_key() returns trigger language plpgsql as 'begin return null; end';
         create trigger forget_key before insert on idempotency_key for each row execute function forget_key();`,
      ),
  },
  'no-rule-1': {
    description: 'writes go to a region that is back while events are still queued for it (rule 1 of the queue)',
    finds: 'reordered',
    faults: 6,
    events: 1_000,
    only: ['cut-region', 'kill-region'],
    world: { withoutRule: true },
  },
}
