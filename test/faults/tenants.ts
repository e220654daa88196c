import { randomUUID } from 'node:crypto'
import { hashPassword } from '../../src/auth/password.js'
import { Database } from '../../src/db/database.js'
import { insertUser } from '../../src/directory/app-user.store.js'
import { controlEntities } from '../../src/directory/entities.js'
import { withControl } from '../../src/directory/with-control.js'
import { systemClock } from '../../src/kernel/clock.js'
import { encodeId, newUuid } from '../../src/kernel/ids.js'
import { regions, type Region } from '../../src/kernel/region.js'
import { ControlSecrets } from '../../src/sealing/control-secrets.js'
import { createApiKey } from '../../src/workspaces/create-api-key.js'
import { createCompany } from '../../src/workspaces/create-company.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { createSecretKey } from 'node:crypto'

/** Several chains share each region's commits, and two companies share the region. */
const companyNames = ['Acme', 'Globex']
const workspacesPerCompanyAndRegion = 2
const closeTimeoutMs = 2_000

export interface FaultWorkspace {
  /** Plain UUID. */
  readonly id: string
  readonly companyId: string
  /** Its API id. */
  readonly gid: string
  readonly region: Region
  readonly apiKey: string
}

export interface Staff {
  readonly email: string
  readonly password: string
}

export interface Tenants {
  readonly workspaces: readonly FaultWorkspace[]
  /** Somebody who may see how the regions are and start jobs. */
  readonly staff: Staff
}

/** Makes the tenants of a run in a control database that is migrated. The keys are those that the service has. */
export async function makeTenants(
  controlUrl: string,
  keys: { readonly controlMaster: Buffer; readonly pepper: Buffer },
): Promise<Tenants> {
  const control = Database.open({ name: 'CONTROL', url: controlUrl, entities: controlEntities })
  const clock = systemClock
  const secrets = new ControlSecrets(createSecretKey(keys.controlMaster))
  const pepper = createSecretKey(keys.pepper)
  try {
    const workspaces: FaultWorkspace[] = []
    for (const name of companyNames) {
      const { id: companyId } = await createCompany({ control, secrets, clock }, { name, retentionDays: 3650 })
      for (const region of regions)
        for (let index = 1; index <= workspacesPerCompanyAndRegion; index++) {
          const { id } = await createWorkspace(
            { control, clock },
            { companyId, name: `${region} ${index}`, dataRegion: region },
          )
          const { secret } = await createApiKey(
            { control, pepper, clock },
            { companyId, workspaceId: id, scope: 'WORKSPACE', name: 'faults' },
          )
          workspaces.push({ id, companyId, gid: encodeId('workspace', id), region, apiKey: secret })
        }
    }
    return { workspaces, staff: await makeStaff(control) }
  } finally {
    await control.close(closeTimeoutMs)
  }
}

async function makeStaff(control: Database): Promise<Staff> {
  const staff = { email: 'operator@staff.example', password: randomUUID() }
  const passwordHash = await hashPassword(staff.password)
  await withControl(control, (em) =>
    insertUser(em, {
      id: newUuid(),
      email: staff.email,
      name: 'Operator',
      passwordHash,
      staffRole: 'SUPER_ADMIN',
      createdAt: new Date(),
    }),
  )
  return staff
}
