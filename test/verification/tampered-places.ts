import { bodyHash, CompactRange, linkHash } from '../../src/ledger/index.js'
import { member, type TamperCase, type Victim } from './tampered-chain.js'

/** The chain as it was when it had `size` events, as a restored old backup has it. `forget`: its checkpoints too. */
async function setBack(v: Victim, size: number, forget: boolean): Promise<void> {
  const range = CompactRange.empty()
  for (const { hash } of v.rows.slice(0, size)) range.append(hash)
  await v.home.sql('delete from event where workspace_id = $1 and sequence > $2', [v.id, size])
  await v.home.sql('delete from merkle_node where workspace_id = $1 and (index + 1) * 256 > $2', [v.id, size])
  await v.writeHead(size, v.rows[size - 1]?.hash ?? Buffer.alloc(32), range)
  if (forget) await v.forget(size)
}

const insertLike = (v: Victim, from: number, columns: Record<string, string>, values: readonly unknown[] = []) => {
  const changes = { sequence: String(v.size + 1), id: 'gen_random_uuid()', ...columns }
  const names = 'workspace_id, company_id, project_id, term, occurred_at, received_at, action, category, target_type'
  const own = [
    'body',
    'prev_hash',
    'hash',
    ...Object.keys(changes).filter((name) => !['body', 'prev_hash', 'hash'].includes(name)),
  ]
  const select = own.map((name) => (changes as Record<string, string>)[name] ?? name)
  return v.home.sql(
    `insert into event (${names}, ${own.join(', ')}) select ${names}, ${select.join(', ')} from event where workspace_id = $1 and sequence = $2`,
    [v.id, from, ...values],
  )
}

/** One more event, linked as it must be. */
async function append(v: Victim, id: string, { head }: { head: boolean }): Promise<void> {
  const body = Buffer.from(member('digests', [])(member('id', id)(v.rows.at(-1)!.body.toString())))
  const prevHash = v.rows.at(-1)!.hash
  const sequence = v.size + 1
  const hash = linkHash({ term: 1, workspaceId: v.id, sequence, prevHash, bodyHash: bodyHash(body) })
  await insertLike(v, v.size, { id: '$6', body: '$3', prev_hash: '$4', hash: '$5' }, [body, prevHash, hash, id])
  if (!head) return
  const range = CompactRange.empty()
  for (const leaf of [...v.rows.map((row) => row.hash), hash]) range.append(leaf)
  await v.writeHead(sequence, hash, range)
}

export const addedId = '0195a1b2-0000-7000-8000-00000000eeee'

/** Where events stand: swapped, deleted, moved, added. */
export const placeCases: readonly TamperCase[] = [
  {
    name: 'two events swapped',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 5,
    event: 6,
    tamper: async (v) => {
      await v.set(5, 'sequence = 1000')
      await v.set(6, 'sequence = 5')
      await v.set(1000, 'sequence = 6')
    },
  },
  {
    name: 'the bodies of two events swapped',
    reason: 'HASH_MISMATCH',
    sequence: 5,
    event: 6,
    tamper: async (v) => {
      await v.set(5, 'body = $3', [v.rows[5]!.body])
      await v.set(6, 'body = $3', [v.rows[4]!.body])
    },
  },
  ...[1, 6].map((sequence) => ({
    name: `event ${sequence} deleted`,
    reason: 'MISSING_EVENT',
    sequence,
    event: null,
    tamper: (v: Victim) => v.home.sql('delete from event where workspace_id = $1 and sequence = $2', [v.id, sequence]),
  })),
  {
    name: 'an event deleted and the others moved up',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 6,
    event: 7,
    tamper: async (v) => {
      await v.home.sql('delete from event where workspace_id = $1 and sequence = 6', [v.id])
      for (let sequence = 7; sequence <= 12; sequence++) await v.set(sequence, `sequence = ${sequence - 1}`)
    },
  },
  {
    name: 'the last event deleted',
    reason: 'HEAD_MISMATCH',
    sequence: 12,
    event: null,
    tamper: (v) => v.home.sql('delete from event where workspace_id = $1 and sequence = 12', [v.id]),
  },
  {
    name: 'the tail cut',
    reason: 'HEAD_MISMATCH',
    sequence: 9,
    event: null,
    tamper: (v) => v.home.sql('delete from event where workspace_id = $1 and sequence > 8', [v.id]),
  },
  {
    name: 'the tail cut, and the head put where it would be',
    reason: 'HEAD_MISMATCH',
    sequence: 9,
    event: null,
    tamper: (v) => setBack(v, 8, false),
  },
  {
    name: 'an old state of the region restored: only copies outside know better',
    reason: 'HEAD_MISMATCH',
    sequence: 9,
    event: null,
    tamper: (v) => setBack(v, 8, true),
  },
  {
    name: 'an old state restored, and the copy in control deleted',
    reason: 'HEAD_MISMATCH',
    sequence: 9,
    event: null,
    tamper: async (v) => {
      await setBack(v, 8, true)
      await v.control.sql('delete from checkpoint_copy where workspace_id = $1', [v.id])
    },
  },
  {
    name: 'an old state restored, and the copy in the other region deleted',
    reason: 'HEAD_MISMATCH',
    sequence: 9,
    event: null,
    tamper: async (v) => {
      await setBack(v, 8, true)
      await v.abroad.sql('delete from foreign_checkpoint where workspace_id = $1', [v.id])
    },
  },
  {
    name: 'a long chain set back below a stored node',
    long: true,
    reason: 'HEAD_MISMATCH',
    sequence: 251,
    event: null,
    tamper: (v) => setBack(v, 250, true),
  },
  {
    name: 'all events deleted, and the head put to nothing',
    reason: 'HEAD_MISMATCH',
    sequence: 1,
    event: null,
    tamper: (v) => setBack(v, 0, true),
  },
  {
    name: 'the whole chain deleted from the region',
    reason: 'HEAD_MISMATCH',
    sequence: 1,
    event: null,
    tamper: async (v) => {
      await setBack(v, 0, true)
      await v.home.sql('delete from chain_head where workspace_id = $1', [v.id])
    },
  },
  {
    name: 'an event moved behind the end of another workspace',
    reason: 'HEAD_MISMATCH',
    sequence: 1013,
    event: 6,
    verify: 'other',
    tamper: (v) => v.set(6, 'workspace_id = $3, sequence = 1013', [v.other.id]),
  },
  {
    name: 'an event added behind the head',
    reason: 'HEAD_MISMATCH',
    sequence: 13,
    event: 13,
    tamper: (v) => append(v, addedId.replace('eeee', 'eee1'), { head: false }),
  },
  {
    name: 'an event added that stands for one there is',
    reason: 'HASH_MISMATCH',
    sequence: 13,
    event: 4,
    tamper: async (v) => {
      await v.home.sql('drop index if exists event_id')
      await append(v, v.rows[3]!.id, { head: true })
    },
  },
]

const rename = member('action', 'user.logout')
const atSix = (body: string, sequence: number): string => (sequence === 6 ? rename(body) : body)
const follow = (v: Victim) => v.set(6, `action = 'user.logout'`)

/** The history rewritten from a place on, so that every link fits. */
export const historyCases: readonly TamperCase[] = [
  {
    name: 'one event rewritten with its own hash',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 7,
    tamper: async (v) => {
      const { sequence, term, prev_hash: prevHash, body } = v.rows[5]!
      const text = Buffer.from(rename(body.toString()))
      const hash = linkHash({ term, workspaceId: v.id, sequence, prevHash, bodyHash: bodyHash(text) })
      await v.set(6, `body = $3, hash = $4, action = 'user.logout'`, [text, hash])
    },
  },
  {
    name: 'all events from one on rewritten, head and frontier too',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      await v.relink(6, atSix)
      await follow(v)
    },
  },
  {
    name: 'the same, and the region has forgotten its checkpoints',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      await v.relink(6, atSix)
      await follow(v)
      await v.forget()
    },
  },
  {
    name: 'the same, and the region has signed the new history: two heads of one size',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      const root = await v.relink(6, atSix)
      await follow(v)
      for (const table of ['checkpoint', 'checkpoint_history'] as const)
        await v.putCheckpoint(table, 12, root, v.note(12, root))
    },
  },
  {
    name: 'the same, and the copy in control is of the new history: only the other region knows better',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 12,
    tamper: async (v) => {
      const root = await v.relink(6, atSix)
      await follow(v)
      for (const table of ['checkpoint', 'checkpoint_history', 'checkpoint_copy'] as const)
        await v.putCheckpoint(table, 12, root, v.note(12, root))
    },
  },
  {
    name: 'a long chain rewritten, tree nodes too',
    long: true,
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 300,
    tamper: async (v) => {
      await v.relink(6, atSix)
      await follow(v)
    },
  },
  {
    name: 'a long chain rewritten, tree nodes left',
    long: true,
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 256,
    tamper: async (v) => {
      await v.relink(6, atSix, { nodes: false })
      await follow(v)
    },
  },
  {
    name: 'a value that never was, committed to by a rewritten body with an id of its own',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.relink(6, (body, sequence) =>
        sequence === 6 ? member('digests', [Buffer.alloc(32, 7).toString('base64')])(body) : body,
      ),
  },
  {
    name: 'a term that was never announced',
    reason: 'HASH_MISMATCH',
    sequence: 6,
    tamper: async (v) => {
      const { sequence, prev_hash: prevHash, body } = v.rows[5]!
      const hash = linkHash({ term: 2, workspaceId: v.id, sequence, prevHash, bodyHash: bodyHash(body) })
      await v.set(6, 'term = 2, hash = $3', [hash])
    },
  },
]
