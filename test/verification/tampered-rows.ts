import type { TamperCase } from './tampered-chain.js'

const column = (name: string, assignment: string, reason: string, more: Partial<TamperCase> = {}): TamperCase => ({
  name: `the column ${name}`,
  reason,
  sequence: 6,
  tamper: (v) => v.set(6, assignment),
  ...more,
})

/** Each column of an event, changed by itself. */
export const columnCases: readonly TamperCase[] = [
  column('sequence', 'sequence = 99', 'MISSING_EVENT', { event: null }),
  column('id', 'id = gen_random_uuid()', 'HASH_MISMATCH'),
  {
    name: 'the column workspace_id',
    reason: 'MISSING_EVENT',
    sequence: 6,
    event: null,
    tamper: (v) => v.set(6, 'workspace_id = $3, sequence = 1000', [v.other.id]),
  },
  column('company_id', 'company_id = gen_random_uuid()', 'MISSING_EVENT', { event: null }),
  column('project_id', 'project_id = gen_random_uuid()', 'HASH_MISMATCH'),
  column('project_id, taken away', 'project_id = null', 'HASH_MISMATCH'),
  column('term', 'term = 2', 'HASH_MISMATCH'),
  column('body, one bit', 'body = set_bit(body, 91, 1 - get_bit(body, 91))', 'HASH_MISMATCH'),
  column('body, its last byte', `body = substring(body from 1 for length(body) - 1)`, 'HASH_MISMATCH'),
  column('body, not UTF-8 any more', `body = '\\xff' || body`, 'HASH_MISMATCH'),
  column('prev_hash', `prev_hash = sha256('x')`, 'PREVIOUS_HASH_MISMATCH'),
  column('hash', `hash = sha256('x')`, 'HASH_MISMATCH'),
  column('occurred_at', `occurred_at = occurred_at - interval '1 ms'`, 'HASH_MISMATCH'),
  column('occurred_at, infinite', `occurred_at = 'infinity'`, 'HASH_MISMATCH'),
  column('received_at', `received_at = received_at - interval '1 day'`, 'HASH_MISMATCH'),
  column('action', `action = 'user.logout'`, 'HASH_MISMATCH'),
  column('category', `category = 'other'`, 'HASH_MISMATCH'),
  column('target_type', `target_type = 'folder'`, 'HASH_MISMATCH'),
  column('target_type, taken away', 'target_type = null', 'HASH_MISMATCH'),
  ...['actor_id_tag', 'actor_email_tag', 'target_id_tag', 'trace_id_tag'].flatMap((name) => [
    column(name, `${name} = set_bit(${name}, 3, 1 - get_bit(${name}, 3))`, 'COMMITMENT_MISMATCH'),
    column(`${name}, taken away`, `${name} = null`, 'COMMITMENT_MISMATCH'),
  ]),
  column('erased_at', 'erased_at = now()', 'COMMITMENT_MISMATCH'),
  column('actor_pseudonym', `actor_pseudonym = '\\x0011223344556677'`, 'COMMITMENT_MISMATCH'),
  ...['identity_blob', 'content_blob'].flatMap((name) => [
    column(`${name}, taken away`, `${name} = null`, 'MISSING_DISCLOSURE'),
    column(`${name}, one bit`, `${name} = set_bit(${name}, 400, 1 - get_bit(${name}, 400))`, 'COMMITMENT_MISMATCH'),
    column(`${name}, its version`, `${name} = set_byte(${name}, 0, 2)`, 'COMMITMENT_MISMATCH'),
  ]),
  {
    name: 'a tag where there was no identifier',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 8,
    tamper: (v) => v.set(8, `actor_id_tag = '\\x00112233445566778899aabbccddeeff'`),
  },
  {
    name: 'the first event',
    reason: 'HASH_MISMATCH',
    sequence: 1,
    tamper: (v) => v.set(1, `action = 'x'`),
  },
  {
    name: 'prev_hash of the first event',
    reason: 'PREVIOUS_HASH_MISMATCH',
    sequence: 1,
    tamper: (v) => v.set(1, `prev_hash = sha256('x')`),
  },
  {
    name: 'the last event',
    reason: 'HASH_MISMATCH',
    sequence: 12,
    tamper: (v) => v.set(12, `action = 'x'`),
  },
  {
    name: 'two events, of which the earlier is named',
    reason: 'HASH_MISMATCH',
    sequence: 4,
    tamper: async (v) => {
      await v.set(9, `prev_hash = sha256('x')`)
      await v.set(4, `category = 'x'`)
    },
  },
]

/** Values, salts and the keys that seal them. */
export const valueCases: readonly TamperCase[] = [
  {
    name: 'the identities of two events swapped',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: async (v) => {
      await v.set(6, 'identity_blob = $3', [v.rows[6]!.identity_blob])
      await v.set(7, 'identity_blob = $3', [v.rows[5]!.identity_blob])
    },
  },
  {
    name: 'the two blobs of an event swapped',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) => v.set(6, 'identity_blob = content_blob, content_blob = identity_blob'),
  },
  {
    name: 'a content of another workspace',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: async (v) => {
      const [row] = await v.home.sql('select content_blob from event where workspace_id = $1 and sequence = 6', [
        v.other.id,
      ])
      await v.set(6, 'content_blob = $3', [row!['content_blob']])
    },
  },
  {
    name: 'a value changed by one who has the key',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.reseal(6, 'content', (all) => all.map((one) => (one.path === 'payload.n' ? { ...one, value: 7 } : one))),
  },
  {
    name: 'an actor changed by one who has the key',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) => v.reseal(6, 'identity', (all) => all.map((one) => ({ ...one, value: 'u_7' }))),
  },
  {
    name: 'a salt changed by one who has the key',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) => v.reseal(6, 'content', (all) => all.map((one) => ({ ...one, salt: Buffer.alloc(16) }))),
  },
  {
    name: 'a path changed by one who has the key',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.reseal(6, 'content', (all) => all.map((one) => ({ ...one, path: one.path.replace('payload.', 'metadata.') }))),
  },
  {
    name: 'a value left out by one who has the key',
    reason: 'MISSING_DISCLOSURE',
    sequence: 6,
    tamper: (v) => v.reseal(6, 'content', (all) => all.filter(({ path }) => path !== 'payload.n')),
  },
  {
    name: 'a value added by one who has the key',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.reseal(6, 'content', (all) => [...all, { path: 'payload.more', value: 1, salt: Buffer.alloc(16) }]),
  },
  {
    name: 'the actor put into the other blob',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.reseal(6, 'content', (all) => [...all, { path: 'actor.id', value: 'u_6', salt: Buffer.alloc(16) }]),
  },
  ...(['identity', 'content'] as const).map((blob) => ({
    name: `the key of an actor's ${blob} deleted`,
    reason: 'MISSING_DISCLOSURE',
    sequence: 6,
    tamper: (v: Parameters<TamperCase['tamper']>[0]) =>
      v.home.sql(
        `delete from subject_key where id = (select encode(substring(${blob}_blob from 2 for 16), 'hex')::uuid from event where workspace_id = $1 and sequence = 6)`,
        [v.id],
      ),
  })),
  {
    name: 'a wrapped key changed',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.home.sql(
        `update subject_key set wrapped = set_bit(wrapped, 200, 1 - get_bit(wrapped, 200)) where id = (select encode(substring(content_blob from 2 for 16), 'hex')::uuid from event where workspace_id = $1 and sequence = 6)`,
        [v.id],
      ),
  },
  {
    name: 'a key put in the place of another',
    reason: 'COMMITMENT_MISMATCH',
    sequence: 6,
    tamper: (v) =>
      v.home.sql(
        `update subject_key k set wrapped = o.wrapped from subject_key o
         where k.id = (select encode(substring(content_blob from 2 for 16), 'hex')::uuid from event where workspace_id = $1 and sequence = 6)
           and o.id = (select encode(substring(content_blob from 2 for 16), 'hex')::uuid from event where workspace_id = $1 and sequence = 7)`,
        [v.id],
      ),
  },
  {
    name: 'a deletion made up to look like an erasure, which an ordinary event is to be',
    reason: 'MISSING_DISCLOSURE',
    sequence: 6,
    tamper: (v) => pretendErased(v, 11),
  },
  {
    name: 'a deletion made up to look like an erasure that is not there',
    reason: 'MISSING_DISCLOSURE',
    sequence: 6,
    tamper: (v) => pretendErased(v, 50),
  },
  {
    name: 'a tombstone of something that was never there',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 6,
    tamper: (v) => v.home.sql(`insert into tombstone select $1, 6, sha256('x'), $2, 11`, [v.id, v.workspace.companyId]),
  },
]

async function pretendErased(v: Parameters<TamperCase['tamper']>[0], erasure: number): Promise<void> {
  const { digests } = JSON.parse(v.rows[5]!.body.toString()) as { digests: string[] }
  await v.set(
    6,
    'identity_blob = null, content_blob = null, erased_at = now(), actor_id_tag = null, actor_email_tag = null, target_id_tag = null, trace_id_tag = null',
  )
  for (const digest of digests)
    await v.home.sql('insert into tombstone select $1, 6, $2, $3, $4', [
      v.id,
      Buffer.from(digest, 'base64'),
      v.workspace.companyId,
      erasure,
    ])
}
