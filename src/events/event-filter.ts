import type { KeyObject } from 'node:crypto'
import type { JsonValue } from '../kernel/canonical-json.js'
import { badInput } from '../kernel/domain-error.js'
import { decodeId } from '../kernel/ids.js'
import { equalityTag } from '../sealing/tags.js'
import { textFault } from './canonical-input.js'

/** What a caller asks for. Absent and null mean the same. Ids are those of the API. */
export interface EventFilterInput {
  readonly from?: Date | null
  readonly to?: Date | null
  readonly actions?: readonly string[] | null
  readonly categories?: readonly string[] | null
  readonly actorId?: string | null
  readonly actorEmail?: string | null
  readonly targetType?: string | null
  readonly targetId?: string | null
  readonly workspaceId?: string | null
  readonly projectId?: string | null
  readonly traceId?: string | null
  readonly includeArchived?: boolean | null
}

/**
 * A filter as the databases understand it: ids are UUIDs, identifiers of people are tags, lists are sorted and without
 * doubles. Which workspaces it is about stands elsewhere.
 */
export interface EventFilter {
  readonly from: Date | null
  readonly to: Date | null
  readonly actions: readonly string[] | null
  readonly categories: readonly string[] | null
  readonly targetType: string | null
  readonly projectId: string | null
  readonly actorIdTag: Buffer | null
  readonly actorEmailTag: Buffer | null
  readonly targetIdTag: Buffer | null
  readonly traceIdTag: Buffer | null
  /** Also events past their retention, and those that were archived. */
  readonly includeArchived: boolean
}

/** How many actions or categories one filter may name: each is a walk along the index of its own. */
export const FILTER_VALUES_MAX = 50
const FILTER_TEXT_CHARACTERS_MAX = 320

function checkText(text: string, field: string): string {
  const fault = textFault(text)
  if (fault !== null) throw badInput(field, fault)
  if (text.length > FILTER_TEXT_CHARACTERS_MAX)
    throw badInput(field, `must have at most ${FILTER_TEXT_CHARACTERS_MAX} characters.`)
  return text
}

function oneOf(values: readonly string[] | null | undefined, field: string): readonly string[] | null {
  if (values === null || values === undefined) return null
  if (values.length === 0 || values.length > FILTER_VALUES_MAX)
    throw badInput(field, `must name 1 to ${FILTER_VALUES_MAX} values.`)
  return [...new Set(values.map((value, index) => checkText(value, `${field}[${index}]`)))].toSorted()
}

/**
 * Checks a filter and turns it into what is stored. `BAD_USER_INPUT` naming the field (`filter.actions`). Whether the
 * project is the caller's is for the caller to check.
 */
export function parseEventFilter(input: EventFilterInput | null | undefined, tagKey: KeyObject): EventFilter {
  const tag = (kind: Parameters<typeof equalityTag>[1], value: string | null | undefined, field: string) =>
    value === null || value === undefined ? null : equalityTag(tagKey, kind, checkText(value, field))
  const targetType = input?.targetType ?? null
  const projectId = input?.projectId ?? null
  return {
    from: input?.from ?? null,
    to: input?.to ?? null,
    actions: oneOf(input?.actions, 'filter.actions'),
    categories: oneOf(input?.categories, 'filter.categories'),
    targetType: targetType === null ? null : checkText(targetType, 'filter.targetType'),
    projectId: projectId === null ? null : decodeId('project', projectId, 'filter.projectId'),
    actorIdTag: tag('actor.id', input?.actorId, 'filter.actorId'),
    actorEmailTag: tag('actor.email', input?.actorEmail, 'filter.actorEmail'),
    targetIdTag: tag('target.id', input?.targetId, 'filter.targetId'),
    traceIdTag: tag('traceId', input?.traceId, 'filter.traceId'),
    includeArchived: input?.includeArchived ?? false,
  }
}

type FilterValue = Date | Buffer | readonly string[] | string | boolean | null

/** A filter as a JSON value: the same for the same question, however it was put. For binding cursors to it. */
export function filterFingerprint(filter: EventFilter): JsonValue {
  const members: Record<string, JsonValue> = {}
  for (const [name, value] of Object.entries(filter) as [string, FilterValue][]) {
    // Filters of before there were archives have the fingerprint they had.
    if (value === null || value === false) continue
    if (value instanceof Date) members[name] = value.toISOString()
    else members[name] = Buffer.isBuffer(value) ? value.toString('hex') : value
  }
  return members
}
