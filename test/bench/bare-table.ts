import { randomBytes, randomUUID } from 'node:crypto'
import { digest16, type SampleEvent } from './sample-events.js'

/**
 * The table of the bare side: the columns, storage and indexes of `event`, without chain, seal, tenancy or triggers. Its
 * sequences come from a sequence.
 */
export const bareTableSql = `
  create table bench_event (like event including all);
  create sequence bench_event_sequence;
  alter table bench_event alter column sequence set default nextval('bench_event_sequence');
  grant select, insert on bench_event to hyrelog_service;
  grant usage on bench_event_sequence to hyrelog_service;`

const columns = [
  ['workspace_id', 'uuid'],
  ['id', 'uuid'],
  ['company_id', 'uuid'],
  ['project_id', 'uuid'],
  ['term', 'integer'],
  ['body', 'bytea'],
  ['prev_hash', 'bytea'],
  ['hash', 'bytea'],
  ['occurred_at', 'timestamptz'],
  ['received_at', 'timestamptz'],
  ['action', 'text'],
  ['category', 'text'],
  ['target_type', 'text'],
  ['actor_id_tag', 'bytea'],
  ['actor_email_tag', 'bytea'],
  ['target_id_tag', 'bytea'],
  ['trace_id_tag', 'bytea'],
  ['identity_blob', 'bytea'],
  ['content_blob', 'bytea'],
] as const

const names = columns.map(([name]) => name).join(', ')

export const insertOneSql = `insert into bench_event (${names})
  values (${columns.map((_, index) => `$${index + 1}`).join(', ')}) returning id, sequence`

export const insertManySql = `insert into bench_event (${names})
  select * from unnest(${columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')}) returning id, sequence`

const workspaceId = randomUUID()
const companyId = randomUUID()
// The chain's columns are as wide as ours, and as random, but nothing is computed.
const hash = randomBytes(32)

/** The bare side's row of an event, in the order of the statements above. */
export function bareRow(event: SampleEvent): unknown[] {
  const now = new Date()
  return [
    workspaceId,
    randomUUID(),
    companyId,
    null,
    1,
    Buffer.from(JSON.stringify({ action: event.action, category: event.category, occurredAt: event.occurredAt })),
    hash,
    hash,
    new Date(event.occurredAt),
    now,
    event.action,
    event.category,
    event.target.type,
    digest16(event.actor.id),
    digest16(event.actor.email),
    digest16(event.target.id),
    digest16(event.traceId),
    Buffer.from(JSON.stringify(event.actor)),
    Buffer.from(JSON.stringify({ target: event.target.id, payload: event.payload, metadata: event.metadata })),
  ]
}

/** Rows turned into columns, as `unnest` takes them. */
export const columnsOf = (rows: readonly unknown[][]): unknown[][] =>
  columns.map((_, index) => rows.map((row) => row[index]))
