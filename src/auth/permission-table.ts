import { staffRoles as staff, type CompanyRole, type StaffRole } from '../directory/app-user.entity.js'

/** In what standing somebody calls. A company key reads, read-only or not; READ_ONLY_KEY is a workspace's. */
export type Caller = 'NOBODY' | 'COMPANY_KEY' | 'WORKSPACE_KEY' | 'READ_ONLY_KEY' | CompanyRole | StaffRole

const nobody = ['NOBODY'] as const
const keys = ['COMPANY_KEY', 'WORKSPACE_KEY', 'READ_ONLY_KEY'] as const
const administrators = ['OWNER', 'ADMIN'] as const
const people = ['OWNER', 'ADMIN', 'MEMBER', 'VIEWER'] as const
/** Staff who may look into a company's events, which is written in the admin log each time. */
const eventStaff = ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN'] as const
/** Staff who decide on what becomes of a person's data. */
const privacyStaff = ['SUPER_ADMIN', 'PRIVACY_ADMIN'] as const

/** Every caller there is. */
export const callers: readonly Caller[] = [...nobody, ...keys, ...people, ...staff]

/**
 * Who may call what: every query and mutation of the API, and everybody whom it is not closed to. Beyond this table lie
 * only the questions of whose thing it is (answered NOT_FOUND) and which workspaces a MEMBER or VIEWER sees. What is not
 * in the table can't be called.
 */
export const permissionTable = {
  // Reading.
  node: [...keys, ...people, ...staff],
  viewer: callers,
  event: [...keys, ...people, ...eventStaff],
  workspaceEvents: [...keys, ...people, ...eventStaff],
  companyEvents: ['COMPANY_KEY', ...people, ...eventStaff],
  globalEvents: ['COMPANY_KEY', ...people, ...eventStaff],
  checkpoint: [...keys, ...people, ...eventStaff],
  inclusionProof: [...keys, ...people, ...eventStaff],
  consistencyProof: [...keys, ...people, ...eventStaff],
  verifyChain: [...keys, ...people, ...eventStaff],
  export: [...keys, ...people, ...eventStaff],
  requestExport: [...keys, ...people, ...eventStaff],
  archiveObjects: [...keys, ...people, ...eventStaff],
  restoreEstimate: [...keys, ...people, ...eventStaff],
  companyRegions: [...keys, ...people, ...staff],
  company: [...keys, ...people, ...staff],
  workspace: [...keys, ...people, ...staff],
  apiKeys: [...administrators, 'SUPER_ADMIN', 'SUPPORT_ADMIN'],
  members: [...administrators, 'SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN'],
  invitations: [...administrators, 'SUPER_ADMIN'],
  adminLog: ['SUPER_ADMIN', 'PRIVACY_ADMIN'],
  adminLogCheckpoint: ['SUPER_ADMIN', 'PRIVACY_ADMIN'],
  adminLogVerification: ['SUPER_ADMIN', 'PRIVACY_ADMIN'],
  jobs: staff,
  regionHealth: staff,
  deadLetters: staff,

  // Recording.
  ingestEvent: ['WORKSPACE_KEY'],
  ingestEvents: ['WORKSPACE_KEY'],

  // Requests of data subjects. Staff approve after somebody of the company has; who asked does neither.
  createGdprRequest: administrators,
  approveGdprRequest: [...administrators, ...privacyStaff],
  rejectGdprRequest: [...administrators, ...privacyStaff],
  retryGdprRequest: privacyStaff,
  gdprRequest: [...administrators, ...privacyStaff],
  gdprRequests: [...administrators, ...privacyStaff],
  gdprPreview: [...administrators, ...privacyStaff],
  setLegalHold: privacyStaff,
  setFourEyes: ['OWNER'],

  // Archives.
  requestRestore: [...administrators, ...eventStaff],
  verifyArchive: [...administrators, ...eventStaff],

  // Sessions.
  signIn: callers,
  signOut: [...people, ...staff],
  signOutEverywhere: [...people, ...staff],
  enrollTotp: [...people, ...staff],
  disableTotp: [...people, ...staff],
  changePassword: [...people, ...staff],
  resetTotp: ['SUPER_ADMIN'],

  // Operating the service.
  runJob: ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN'],
  resyncReplica: ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN'],
  setCompanyReplication: ['SUPER_ADMIN'],
  upsertRegionDataStore: ['SUPER_ADMIN'],
  triggerFailover: ['SUPER_ADMIN', 'SUPPORT_ADMIN'],
  endFailover: ['SUPER_ADMIN', 'SUPPORT_ADMIN'],
  retryDeadLetter: ['SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN'],

  // Companies and what is in them.
  createCompany: ['SUPER_ADMIN'],
  createWorkspace: administrators,
  updateWorkspace: administrators,
  archiveWorkspace: administrators,
  unarchiveWorkspace: administrators,
  createProject: ['OWNER', 'ADMIN', 'MEMBER'],
  createApiKey: administrators,
  rotateApiKey: administrators,
  revokeApiKey: [...administrators, 'SUPER_ADMIN', 'SUPPORT_ADMIN'],

  // People.
  inviteMember: [...administrators, 'SUPER_ADMIN'],
  revokeInvitation: [...administrators, 'SUPER_ADMIN'],
  acceptInvitation: [...nobody, ...people],
  changeMemberRole: administrators,
  removeMember: administrators,
  transferOwnership: ['OWNER'],
} as const satisfies Readonly<Record<string, readonly Caller[]>>

/** The name of a query or mutation. */
export type Operation = keyof typeof permissionTable

/** Whether a caller in this standing may call the operation at all. */
export const isPermitted = (operation: Operation, caller: Caller): boolean =>
  (permissionTable[operation] as readonly Caller[]).includes(caller)

/** What staff may do before they have the second factor that is demanded of them. */
export const withoutTotp: ReadonlySet<Operation> = new Set([
  'viewer',
  'signIn',
  'signOut',
  'signOutEverywhere',
  'enrollTotp',
])
