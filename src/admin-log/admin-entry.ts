import type { JsonObject } from '../kernel/canonical-json.js'

/** The chain of what concerns no company: staff, and attempts by nobody. */
export const GLOBAL_CHAIN_ID = '00000000-0000-0000-0000-000000000000'

/** Who did it: a dashboard account, the service itself, or somebody who did not get in. */
export type AdminActor =
  | { readonly kind: 'user'; readonly userId: string }
  | { readonly kind: 'system' }
  | { readonly kind: 'nobody' }

export const systemActor: AdminActor = { kind: 'system' }

/** What area of administration it belongs to. */
export type AdminCategory =
  | 'session'
  | 'member'
  | 'company'
  | 'workspace'
  | 'project'
  | 'api_key'
  | 'staff_read'
  | 'region'
  | 'privacy'
  | 'job'
  | 'archive'

/**
 * One thing to be written in the admin log. Everything in it is clear for ever: ids of dashboard accounts and of things
 * of ours, names of settings, reasons an administrator gave; never a secret, never an event's subject.
 */
export interface AdminEntry {
  /** UUID of the company it concerns; null: none. */
  readonly companyId: string | null
  readonly actor: AdminActor
  /** Noun and past verb, `api_key.revoked`. */
  readonly action: string
  readonly category: AdminCategory
  /** The type, and the API id. */
  readonly target: { readonly type: string; readonly id: string } | null
  readonly payload?: JsonObject
}

/** An entry of the log as it is read. */
export interface AdminEvent {
  readonly id: string
  /** Null for the chain of what concerns no company. */
  readonly companyId: string | null
  readonly sequence: number
  readonly occurredAt: Date
  readonly action: string
  readonly category: string
  readonly actorId: string | null
  readonly target: { readonly type: string; readonly id: string } | null
  readonly payload: JsonObject
  readonly hash: Buffer
  /** Null for the first of its chain. */
  readonly prevHash: Buffer | null
}
