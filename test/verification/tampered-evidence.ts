import { generateSigningKey, noteSigner } from '../../src/ledger/index.js'
import type { TamperCase, Victim } from './tampered-chain.js'

const head = (name: string, assignment: string, sequence: number, event: number | null): TamperCase => ({
  name: `the head's ${name}`,
  reason: 'HEAD_MISMATCH',
  sequence,
  event,
  tamper: (v) => v.home.sql(`update chain_head set ${assignment} where workspace_id = $1`, [v.id]),
})

/** The head of a chain and the nodes of its tree. */
export const headCases: readonly TamperCase[] = [
  head('sequence, one more', 'sequence = sequence + 1', 13, null),
  head('sequence, one less', 'sequence = sequence - 1', 12, 12),
  head('hash', `hash = sha256('x')`, 12, 12),
  head('frontier', 'frontier = set_bit(frontier, 7, 1 - get_bit(frontier, 7))', 12, 12),
  head('term', 'term = 2', 12, 12),
  head('company', 'company_id = gen_random_uuid()', 1, 1),
  {
    name: 'the head deleted',
    reason: 'HEAD_MISMATCH',
    sequence: 1,
    tamper: (v) => v.home.sql('delete from chain_head where workspace_id = $1', [v.id]),
  },
  {
    name: 'a node of the tree changed',
    long: true,
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 256,
    tamper: (v) => v.home.sql(`update merkle_node set hash = sha256('x') where workspace_id = $1`, [v.id]),
  },
  {
    name: 'a node of the tree deleted',
    long: true,
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 256,
    tamper: (v) => v.home.sql('delete from merkle_node where workspace_id = $1', [v.id]),
  },
  {
    name: 'a node that the tree does not have',
    long: true,
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 300,
    tamper: (v) =>
      v.home
        .sql(`update merkle_node set index = 0 where workspace_id = $1`, [v.id])
        .then(() =>
          v.home.sql(
            `insert into merkle_node select workspace_id, company_id, level, 1, hash from merkle_node where workspace_id = $1`,
            [v.id],
          ),
        ),
  },
]

const root = (fill: number) => Buffer.alloc(32, fill)
const stranger = (v: Victim) => noteSigner(v.signer.name, generateSigningKey())
const tables = ['checkpoint', 'checkpoint_history', 'checkpoint_copy', 'foreign_checkpoint'] as const
const placeOf = (v: Victim, table: (typeof tables)[number]) =>
  table === 'checkpoint_copy' ? v.control : table === 'foreign_checkpoint' ? v.abroad : v.home

/** Signed checkpoints, at home and where copies of them are kept. */
export const checkpointCases: readonly TamperCase[] = [
  ...tables.flatMap((table): TamperCase[] => [
    {
      name: `${table}: the signature`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 12,
      tamper: (v) =>
        placeOf(v, table).sql(
          `update ${table} set note = regexp_replace(note, '([A-Za-z0-9+/]{6})([A-Za-z0-9+/]{14}=*\n)$', 'AAAAAA\\2') where workspace_id = $1`,
          [v.id],
        ),
    },
    {
      name: `${table}: signed by a stranger`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 12,
      tamper: async (v) => {
        const [row] = await placeOf(v, table).sql(`select root_hash from ${table} where workspace_id = $1`, [v.id])
        const own = row!['root_hash'] as Buffer
        await v.putCheckpoint(table, 12, own, v.note(12, own, { signer: stranger(v) }))
      },
    },
    {
      name: `${table}: the column root_hash`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 12,
      tamper: (v) =>
        placeOf(v, table).sql(`update ${table} set root_hash = sha256('x') where workspace_id = $1`, [v.id]),
    },
    {
      name: `${table}: another head of the same size, properly signed`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 12,
      tamper: (v) => v.putCheckpoint(table, 12, root(3), v.note(12, root(3))),
    },
    {
      name: `${table}: a head of an earlier size that never was, properly signed`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 7,
      tamper: (v) => v.putCheckpoint(table, 7, root(3), v.note(7, root(3))),
    },
    {
      name: `${table}: a head of more events than there are, properly signed`,
      reason: 'HEAD_MISMATCH',
      sequence: 13,
      event: null,
      tamper: (v) => v.putCheckpoint(table, 20, root(3), v.note(20, root(3))),
    },
    {
      name: `${table}: a head of more events than there are, signed by a stranger`,
      reason: 'CHECKPOINT_MISMATCH',
      sequence: 20,
      event: null,
      tamper: (v) => v.putCheckpoint(table, 20, root(3), v.note(20, root(3), { signer: stranger(v) })),
    },
  ]),
  {
    name: 'a checkpoint of another workspace',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      const [row] = await v.home.sql('select root_hash from checkpoint where workspace_id = $1', [v.id])
      const own = row!['root_hash'] as Buffer
      await v.putCheckpoint('checkpoint', 12, own, v.note(12, own, { workspaceId: v.other.id }))
    },
  },
  {
    name: 'a checkpoint of another log',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      const [row] = await v.home.sql('select root_hash from checkpoint where workspace_id = $1', [v.id])
      const own = row!['root_hash'] as Buffer
      await v.putCheckpoint('checkpoint', 12, own, v.note(12, own, { log: 'staging.local' }))
    },
  },
  {
    name: 'a checkpoint signed by the key of another region',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      const [row] = await v.home.sql('select root_hash from checkpoint where workspace_id = $1', [v.id])
      const own = row!['root_hash'] as Buffer
      const { current } = await v.world.app.verification.keys.of('AU')
      await v.putCheckpoint('checkpoint', 12, own, v.note(12, own, { signer: current! }))
    },
  },
  {
    name: "the region's own checkpoint deleted",
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    event: null,
    tamper: (v) => v.home.sql('delete from checkpoint where workspace_id = $1', [v.id]),
  },
]
