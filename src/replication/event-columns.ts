/**
 * What a replica has of an event, in the order in which it is read at home and written: everything, byte for byte, but
 * the workspace, which is the same for a whole stretch. The columns stand in the text of statements, never `*`: home and
 * replica may be a migration apart.
 */
const eventColumns = [
  ['sequence', 'bigint'],
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
  ['erased_at', 'timestamptz'],
  ['actor_pseudonym', 'bytea'],
] as const

export type EventColumn = (typeof eventColumns)[number][0]

const names = eventColumns.map(([name]) => name)

/** `sequence, id, …`. */
export const columnList = names.join(', ')

/** Each column of `e` as one array in PostgreSQL's binary form, which the other server takes as it is. */
export const columnArrays = names.map((name) => `array_send(array_agg(e.${name})) as ${name}`).join(', ')

/** Parameters for the arrays, from number `first` on. */
export const columnParameters = (first: number): string =>
  eventColumns.map(([, type], index) => `$${first + index}::${type}[]`).join(', ')

/** A digest of everything in a row `e`, the same on every server. */
export const rowDigest = `sha256(record_send(row(${names.map((name) => `e.${name}`).join(', ')})))`

/** Events on their way from one database to another, column by column. Nobody in between takes them apart. */
export type ColumnArrays = Readonly<Record<EventColumn, Buffer>>

export const arraysInOrder = (columns: ColumnArrays): readonly Buffer[] => names.map((name) => columns[name])
