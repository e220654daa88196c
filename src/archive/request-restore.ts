import { changeControl } from '../admin-log/change-control.js'
import { admitSession } from '../auth/permissions.js'
import type { Viewer } from '../auth/viewer.js'
import type { ControlFacts } from '../directory/control-facts.js'
import { badInput, notFound } from '../kernel/domain-error.js'
import { encodeRegionalId } from '../kernel/ids.js'
import { ObjectNotFoundError } from '../objects/object-errors.js'
import type { RestoreTier } from '../objects/object-store.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { ArchiveDeps } from './archive-deps.js'
import type { ArchiveObject } from './archive-object.js'
import { findArchiveObject } from './get-archive-object.js'
import { orUnavailable } from './or-unavailable.js'

/** As long as a bucket keeps a restored copy at most. */
export const RESTORE_DAYS_MAX = 365
export const RESTORE_DAYS_DEFAULT = 7

/**
 * Asks for a cold object to be made readable for some days; a restore that is under way is joined, one of a warm object
 * is done already. For owners, administrators and staff; it is written in the admin log. Throws UNAUTHENTICATED,
 * FORBIDDEN, NOT_FOUND, BAD_USER_INPUT (days, or a tier the bucket does not have), REGION_UNAVAILABLE.
 */
export async function requestRestore(
  deps: ArchiveDeps & { readonly facts: ControlFacts; readonly registry: RegionRegistry },
  viewer: Viewer,
  input: { readonly archiveObjectId: string; readonly days: number; readonly tier: RestoreTier | null },
): Promise<ArchiveObject> {
  const session = admitSession(viewer, 'requestRestore')
  const { days, archiveObjectId } = input
  if (!Number.isInteger(days) || days < 1 || days > RESTORE_DAYS_MAX)
    throw badInput('input.days', `must be from 1 to ${RESTORE_DAYS_MAX}.`)
  const object = await findArchiveObject(deps, session, 'requestRestore', archiveObjectId, 'input.archiveObjectId')
  if (object === null) throw notFound('Archive object')
  const { region, companyId } = object
  const store = await orUnavailable(region, () => deps.stores.of(region))
  const tier = input.tier ?? 'STANDARD'
  if (!store.restoreTiers.includes(tier))
    throw badInput(
      'input.tier',
      `must be one of ${store.restoreTiers.join(', ')}: the bucket of ${region} has no other.`,
    )
  await orUnavailable(region, () => restoreObject(deps, object, days, tier))
  await changeControl(deps, async ({ log }) => {
    log({
      companyId,
      actor: { kind: 'user', userId: session.user.id },
      action: 'archive_object.restore_requested',
      category: 'archive',
      target: { type: 'archive_object', id: encodeRegionalId('archiveObject', region, object.id) },
      payload: { days, tier },
    })
  })
  return (await findArchiveObject(deps, session, 'requestRestore', archiveObjectId)) ?? object
}

/** Asks the bucket for a readable copy, and notes what it says. NOT_FOUND where it has no such object. */
export async function restoreObject(
  deps: ArchiveDeps,
  object: ArchiveObject,
  days: number,
  tier: RestoreTier,
): Promise<ArchiveObject['storageClass'] | null> {
  const store = await deps.stores.of(object.region)
  try {
    await store.requestRestore(object.key, { days, tier })
  } catch (error) {
    if (error instanceof ObjectNotFoundError) throw notFound('Archive object')
    throw error
  }
  deps.onStep?.('object.restore_requested')
  deps.figures.add('restores', object.region)
  return deps.reader.refresh(object)
}
