import type { JsonObject, JsonValue } from '../kernel/canonical-json.js'

/** What a caller asks to be recorded, before defaults. Absent and null mean the same, but inside JSON values. */
export interface IngestInput {
  readonly action: string
  readonly category: string
  readonly actor?: ActorInput | null
  readonly target?: TargetInput | null
  /** The API id (`prj_…`) of a project of the workspace. */
  readonly projectId?: string | null
  readonly payload?: JsonObject | null
  readonly metadata?: JsonObject | null
  readonly changes?: readonly ChangeInput[] | null
  readonly occurredAt?: Date | null
  readonly traceId?: string | null
  readonly idempotencyKey?: string | null
}

export interface ActorInput {
  readonly id?: string | null
  readonly email?: string | null
  readonly name?: string | null
}

export interface TargetInput {
  readonly id?: string | null
  readonly type?: string | null
}

/** `old` and `new` are undefined where they were not sent; an explicit null is a value. */
export interface ChangeInput {
  readonly field: string
  readonly old?: JsonValue
  readonly new?: JsonValue
}
