import { newApiKey, randomBase62 } from '../auth/api-key.js'
import type { CompanyRole, StaffRole } from '../directory/app-user.entity.js'
import type { Region } from '../kernel/region.js'

const PASSWORD_LENGTH = 20

/**
 * What the demo world will be, secrets included: decided and written down before anything is made, so that a seeding
 * that was cut short goes on with the same keys and passwords.
 */
export interface DemoPlan {
  readonly version: 1
  /** The moment the events lead up to, RFC 3339. */
  readonly seededAt: string
  readonly staff: readonly PlannedUser<{ readonly staffRole: StaffRole }>[]
  readonly companies: readonly PlannedCompany[]
}

export type PlannedUser<Role> = Role & { readonly email: string; readonly name: string; readonly password: string }

export interface PlannedCompany {
  readonly name: string
  readonly slug: string
  readonly dataRegion: Region
  readonly replicateTo: readonly Region[]
  readonly retentionDays: number
  readonly apiKey: string
  readonly readOnlyApiKey: string
  readonly users: readonly PlannedUser<{ readonly role: CompanyRole }>[]
  readonly workspaces: readonly PlannedWorkspace[]
}

export interface PlannedWorkspace {
  readonly name: string
  readonly slug: string
  readonly dataRegion: Region
  readonly apiKey: string
  readonly projects: readonly { readonly name: string; readonly slug: string }[]
  readonly eventCount: number
}

type Outline = Pick<PlannedCompany, 'name' | 'slug' | 'dataRegion' | 'replicateTo' | 'retentionDays'> & {
  readonly workspaces: readonly (readonly [name: string, region: Region, eventCount: number])[]
}

const outlines: readonly Outline[] = [
  {
    name: 'Acme Corp',
    slug: 'acme-corp',
    dataRegion: 'AU',
    replicateTo: [],
    retentionDays: 365,
    workspaces: [
      ['Production', 'AU', 400],
      ['Back office', 'AU', 250],
    ],
  },
  {
    name: 'GlobalTech EU',
    slug: 'globaltech-eu',
    dataRegion: 'AU',
    replicateTo: [],
    retentionDays: 180,
    workspaces: [['Customer portal', 'AU', 300]],
  },
  {
    name: 'Initech Global',
    slug: 'initech-global',
    dataRegion: 'EU',
    replicateTo: ['US'],
    retentionDays: 3_650,
    workspaces: [
      ['Initech Europe', 'EU', 350],
      ['Initech America', 'US', 300],
      ['Initech Australia', 'AU', 250],
      ['Initech Asia Pacific', 'APAC', 250],
    ],
  },
]
const projects = [
  { name: 'Web app', slug: 'web-app' },
  { name: 'Mobile app', slug: 'mobile-app' },
] as const
const members: readonly (readonly [local: string, name: string, role: CompanyRole])[] = [
  ['owner', 'Olivia Owens', 'OWNER'],
  ['admin', 'Adam Adeyemi', 'ADMIN'],
  ['admin2', 'Anna Andersson', 'ADMIN'],
  ['member', 'Mika Mori', 'MEMBER'],
  ['viewer', 'Vera Vidal', 'VIEWER'],
]
const staff: readonly (readonly [local: string, name: string, staffRole: StaffRole])[] = [
  ['super.admin', 'Sam Super', 'SUPER_ADMIN'],
  ['privacy.admin', 'Priya Private', 'PRIVACY_ADMIN'],
  ['support.admin', 'Sean Support', 'SUPPORT_ADMIN'],
  ['billing.admin', 'Bianca Billing', 'BILLING_ADMIN'],
]

/** A fresh plan: the same companies every time, keys and passwords of its own. */
export function planDemo(now: Date): DemoPlan {
  return {
    version: 1,
    seededAt: now.toISOString(),
    staff: staff.map(([local, name, staffRole]) => ({
      email: `${local}@hyrelog.example`,
      name,
      password: randomBase62(PASSWORD_LENGTH),
      staffRole,
    })),
    companies: outlines.map((outline) => ({
      ...outline,
      apiKey: newApiKey('COMPANY'),
      readOnlyApiKey: newApiKey('COMPANY'),
      users: members.map(([local, name, role]) => ({
        email: `${local}@${outline.slug}.example`,
        name,
        password: randomBase62(PASSWORD_LENGTH),
        role,
      })),
      workspaces: outline.workspaces.map(([name, dataRegion, eventCount]) => ({
        name,
        slug: name.toLowerCase().replaceAll(' ', '-'),
        dataRegion,
        apiKey: newApiKey('WORKSPACE'),
        projects,
        eventCount,
      })),
    })),
  }
}
