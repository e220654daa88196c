import { systemActor } from '../admin-log/admin-entry.js'
import { changeControl } from '../admin-log/change-control.js'
import { randomBase62 } from '../auth/api-key.js'
import { hashPassword } from '../auth/password.js'
import type { Database } from '../db/database.js'
import type { StaffRole } from '../directory/app-user.entity.js'
import { findUserByEmail, insertUser } from '../directory/app-user.store.js'
import type { Clock } from '../kernel/clock.js'
import { DomainError } from '../kernel/domain-error.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { validEmail } from './invite-member.js'

const PASSWORD_CHARACTERS = 20

export interface CreateStaffInput {
  readonly email: string
  readonly staffRole: StaffRole
}

export interface CreatedStaff extends CreateStaffInput {
  /** UUID. */
  readonly id: string
  /** In this answer and nowhere else. */
  readonly password: string
  readonly createdAt: Date
}

/**
 * Makes an account of the staff, with a password of its own, for whoever holds the control database: there is nobody yet
 * who could invite the first. Written in the admin log. BAD_USER_INPUT, CONFLICT (the address has an account),
 * REGION_UNAVAILABLE.
 */
export async function createStaff(
  deps: { readonly control: Database; readonly clock: Clock },
  input: CreateStaffInput,
): Promise<CreatedStaff> {
  const email = validEmail(input.email, 'email')
  const { staffRole } = input
  const password = randomBase62(PASSWORD_CHARACTERS)
  const passwordHash = await hashPassword(password)
  const createdAt = deps.clock.now()
  const id = newUuid(createdAt.getTime())
  await changeControl(deps, async ({ em, log }) => {
    if ((await findUserByEmail(em, email)) !== null) throw new DomainError('CONFLICT', 'This address has an account.')
    await insertUser(em, { id, email, name: null, passwordHash, staffRole, createdAt })
    log({
      companyId: null,
      actor: systemActor,
      action: 'staff.created',
      category: 'member',
      target: { type: 'user', id: encodeId('user', id) },
      payload: { staffRole },
    })
  })
  return { id, email, staffRole, password, createdAt }
}
