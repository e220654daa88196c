import { Option, type Command } from 'commander'
import { staffRoles, type StaffRole } from '../directory/app-user.entity.js'
import { encodeId } from '../kernel/ids.js'
import { createStaff } from '../members/create-staff.js'
import type { RunAdmin } from './admin-session.js'

interface CreateOptions {
  readonly email: string
  readonly role: StaffRole
}

/** Adds `staff create`. */
export function addStaffCommands(admin: Command, run: RunAdmin): void {
  const staff = admin.command('staff').description('Accounts of those who run the service.')
  staff
    .command('create')
    .description('Makes an account of the staff and shows its password, once.')
    .requiredOption('--email <address>', 'the address it signs in with')
    .addOption(new Option('--role <role>', 'what it may do').choices(staffRoles).default('SUPER_ADMIN'))
    .option('--json', 'answer in JSON')
    .action(({ email, role }: CreateOptions, command: Command) =>
      run(command, async (session) => {
        const made = await createStaff(session, { email, staffRole: role })
        return {
          id: encodeId('user', made.id),
          email: made.email,
          staffRole: made.staffRole,
          createdAt: made.createdAt.toISOString(),
          password: made.password,
        }
      }),
    )
}
