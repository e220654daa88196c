import type { KeyObject } from 'node:crypto'
import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import { DatabaseError } from '../db/database-error.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { isOutage, OutcomeUnknownError } from '../events/batch-transaction.js'
import { pageOf, type PageRequest } from '../graphql/page-arguments.js'
import { cursorCodec } from '../kernel/cursor.js'
import { DomainError, notFound } from '../kernel/domain-error.js'
import { encodeRegionalId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import type { RegionModes } from '../regions/region-modes.js'
import {
  countDeadLetters,
  type DeadLetter,
  deleteDeadLetters,
  lockDeadLetter,
  noteFailure,
  readDeadLetters,
} from './dead-letter.store.js'
import { COMMIT_TIMEOUT_MS, commitRows, type DrainDeps } from './drain-queue.js'

export interface DeadLetterDeps {
  readonly drain: DrainDeps
  readonly modes: RegionModes
  readonly cursorKey: KeyObject
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetter[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  cursorOf(this: void, letter: DeadLetter): string
  total(this: void): Promise<number>
}

/**
 * Events that a region would not take, newest first; that they were looked at is in the admin logs of their companies.
 * Staff only: UNAUTHENTICATED, FORBIDDEN, TOTP_REQUIRED, BAD_USER_INPUT (cursor), REGION_UNAVAILABLE (CONTROL).
 */
export async function listDeadLetters(
  { drain: { control }, cursorKey }: DeadLetterDeps,
  viewer: Viewer,
  input: { readonly region: Region; readonly page: PageRequest },
): Promise<DeadLetterPage> {
  const session = admitSession(viewer, 'deadLetters')
  const { region, page } = input
  const codec = cursorCodec(cursorKey, { list: 'deadLetters', region })
  const position = page.cursor === null ? null : codec.decode(page.cursor, page.cursorField)
  const direction = page.direction === 'forward' ? 'older' : 'newer'
  const found = await orControlUnavailable(() =>
    readDeadLetters(control, { region, direction, position, limit: page.size + 1 }),
  )
  const { items: letters, ...rest } = pageOf(found, page)
  if (session.kind === 'staff')
    for (const companyId of new Set(letters.map((letter) => letter.companyId)))
      await session.recordRead('deadLetters', companyId)
  return {
    letters,
    ...rest,
    cursorOf: ({ failedAt, eventId }) => codec.encode({ timeMs: failedAt.getTime(), uuid: eventId }),
    total: () => orControlUnavailable(() => countDeadLetters(control, region)),
  }
}

/**
 * Tries once more to record an event that was set aside. Answers null where it is recorded now, else the letter with why
 * it is not. Written in the admin log. Staff only. NOT_FOUND, INVALID_TRANSITION (the region is failed over),
 * REGION_UNAVAILABLE. `eventId`: UUID.
 */
export async function retryDeadLetter(
  deps: DeadLetterDeps,
  viewer: Viewer,
  eventId: string,
): Promise<DeadLetter | null> {
  const { user } = admitSession(viewer, 'retryDeadLetter')
  const { drain, modes } = deps
  return changeControl(drain, async ({ tx, log }) => {
    const locked = await lockDeadLetter(tx, eventId)
    if (locked === null) throw notFound('Dead letter')
    const { letter, row } = locked
    const { region } = letter
    if (modes.isFailedOver(region))
      throw new DomainError('INVALID_TRANSITION', `Region ${region} is failed over: end that first.`)
    const refused = await orRegionUnavailable(region, () =>
      drain.registry.use(region, ({ database }) =>
        commitRows(drain, { region, database, commitTimeoutMs: COMMIT_TIMEOUT_MS - 1_000 }, [row]),
      ),
    )
    const reason = refused.get(eventId)
    if (reason === undefined) await deleteDeadLetters(tx, [eventId])
    else await noteFailure(tx, eventId, reason)
    log({
      companyId: null,
      actor: { kind: 'user', userId: user.id },
      action: 'dead_letter.retried',
      category: 'region',
      target: { type: 'event', id: encodeRegionalId('event', region, eventId) },
      payload: { region, recorded: reason === undefined, ...(reason === undefined ? {} : { reason }) },
    })
    return reason === undefined ? null : { ...letter, attempts: letter.attempts + 1, reason }
  })
}

async function orRegionUnavailable<T>(region: Region, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(isOutage(error) || error instanceof OutcomeUnknownError || error instanceof DatabaseError)) throw error
    throw new DomainError('REGION_UNAVAILABLE', `Region ${region} does not answer; try again.`, {
      details: { regions: [region] },
      cause: error,
    })
  }
}
