import { changeControl } from '../admin-log/change-control.js'
import { admitToCompany } from '../auth/permissions.js'
import type { SessionViewer } from '../auth/viewer.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { badInput, DomainError, notFound } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { lockRoles } from '../members/member.store.js'
import { roleNow } from '../members/member-rules.js'
import { newSecretKey } from '../sealing/secret-box.js'
import type { GdprDeps } from './gdpr-deps.js'
import type { GdprRequestType } from './gdpr-request.js'
import {
  findGdprRequest,
  findOpenRequest,
  type GdprRequestRecord,
  insertGdprRequest,
  readFourEyes,
} from './gdpr-request.store.js'
import { isHeld } from './legal-hold.store.js'
import { inRegion, sealSubject, subjectDigest } from './sealed-subject.js'
import { maskIdentifiers, requestSubjectTag, subjectTags, validIdentifiers } from './subject.js'

export const REASON_CHARACTERS_MAX = 2_000

export interface CreateGdprRequestInput {
  /** UUID. */
  readonly companyId: string
  readonly requestType: GdprRequestType
  readonly actorId?: string | null | undefined
  readonly actorEmail?: string | null | undefined
  readonly reason?: string | null | undefined
}

/**
 * Asks for a person to be erased from a company's events. Where an open request of the same kind is about the same
 * subject, that one is the answer. FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, LEGAL_HOLD, CONFLICT (an open request of the
 * other kind), REGION_UNAVAILABLE (the company's primary region keeps the request's key).
 */
export async function createGdprRequest(
  deps: GdprDeps,
  viewer: SessionViewer,
  input: CreateGdprRequestInput,
): Promise<GdprRequestRecord> {
  const { companyId, requestType } = input
  const session = admitToCompany(viewer, 'createGdprRequest', companyId)
  const identifiers = validIdentifiers(input)
  const reason = input.reason?.trim() || null
  if (reason !== null && reason.length > REASON_CHARACTERS_MAX)
    throw badInput('input.reason', `must have at most ${REASON_CHARACTERS_MAX} characters.`)
  const company = await deps.facts.company(companyId)
  if (company === null) throw notFound('Company')
  const tagKey = await deps.facts.tagKey(companyId)
  const subjectTag = requestSubjectTag(tagKey, identifiers)
  const open = await orControlUnavailable(() => findOpenRequest(deps.control, companyId, subjectTag))
  if (open !== null) return joined(open, requestType)

  const id = newUuid(deps.clock.now().getTime())
  const keyRegion = company.dataRegion
  const key = await inRegion(deps, keyRegion, (database) => deps.subjectKeys.createOwn(database, keyRegion, companyId))
  const secret = newSecretKey()
  const made = await changeControl(deps, async ({ tx, log }) => {
    const roles = await lockRoles(tx, companyId)
    roleNow(session, 'createGdprRequest', roles)
    if (await isHeld(tx, companyId, subjectTags(tagKey, identifiers))) throw legalHold()
    const fourEyes = await readFourEyes(tx, companyId)
    const inserted = await insertGdprRequest(tx, {
      id,
      companyId,
      requestType,
      requestedBy: session.user.id,
      // One who has become one of several since can't go on alone.
      fourEyes: fourEyes || countOwners(roles.values()) !== 1,
      identifiersSealed: sealSubject(key.key, id, { ...identifiers, reason }),
      keyRegion,
      keyId: key.id,
      subject: maskIdentifiers(identifiers),
      subjectDigest: subjectDigest(secret, identifiers),
      subjectTag,
      secretSealed: deps.secrets.sealRequestSecret(id, secret.export()),
      createdAt: deps.clock.now(),
    })
    if (inserted)
      log({
        companyId,
        actor: { kind: 'user', userId: session.user.id },
        action: 'gdpr_request.created',
        category: 'privacy',
        target: { type: 'gdpr_request', id: encodeId('gdprRequest', id) },
        payload: { requestType },
      })
    return inserted
  })
  const record = await orControlUnavailable(() =>
    made ? findGdprRequest(deps.control, id) : findOpenRequest(deps.control, companyId, subjectTag),
  )
  if (record === null) throw new DomainError('CONFLICT', 'Another request for the same subject has just ended.')
  return made ? record : joined(record, requestType)
}

const countOwners = (roles: Iterable<string>): number => [...roles].filter((role) => role === 'OWNER').length

function joined(open: GdprRequestRecord, requestType: GdprRequestType): GdprRequestRecord {
  if (open.request.requestType === requestType) return open
  throw new DomainError('CONFLICT', `There is an open request to ${open.request.requestType} the same subject.`)
}

export const legalHold = (): DomainError =>
  new DomainError('LEGAL_HOLD', 'A legal hold is in force: nothing of this may be erased.')
