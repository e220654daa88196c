import type { IngestInput } from '../events/ingest-input.js'
import type { SeededRandom } from './seeded-random.js'

/** What an invented event may draw on. */
export interface DemoScene {
  readonly random: SeededRandom
  readonly someone: () => { readonly id: string; readonly email: string; readonly name: string }
  /** Four digits. */
  readonly number: () => number
}

/** An event but for who and where; `automatic` ones are done by a scheduler and not by a person. */
export type DemoAction = (
  scene: DemoScene,
) => Pick<IngestInput, 'action' | 'category' | 'target' | 'payload' | 'changes'> & { readonly automatic?: boolean }

const plans = ['starter', 'team', 'business', 'enterprise'] as const
const roles = ['viewer', 'member', 'admin'] as const
const documents = ['Q3 forecast', 'Supplier contract', 'Incident report', 'Onboarding guide', 'Price list'] as const
const currencies = ['EUR', 'USD', 'AUD'] as const

const auth: readonly DemoAction[] = [
  ({ random }) => ({
    action: 'user.signed_in',
    category: 'auth',
    payload: { method: random.pick(['password', 'sso', 'passkey']), mfa: random.next() < 0.8 },
  }),
  ({ random }) => ({
    action: 'user.sign_in_failed',
    category: 'auth',
    payload: {
      reason: random.pick(['wrong_password', 'unknown_device', 'expired_code']),
      attempt: 1 + random.integer(4),
    },
  }),
  ({ random }) => ({
    action: 'user.mfa_enrolled',
    category: 'auth',
    payload: { factor: random.pick(['totp', 'security_key']) },
  }),
  () => ({ action: 'user.password_changed', category: 'auth', payload: { otherSessionsEnded: true } }),
]

const billing: readonly DemoAction[] = [
  ({ random, number }) => ({
    action: 'invoice.issued',
    category: 'billing',
    target: { id: `inv_${number()}`, type: 'invoice' },
    payload: {
      amount: 20 * (1 + random.integer(400)),
      currency: random.pick(currencies),
      lines: 1 + random.integer(12),
    },
    automatic: true,
  }),
  ({ random, number }) => ({
    action: 'invoice.paid',
    category: 'billing',
    target: { id: `inv_${number()}`, type: 'invoice' },
    payload: { method: random.pick(['card', 'sepa', 'wire']), daysOpen: random.integer(30) },
  }),
  ({ random, number }) => {
    const from = random.integer(plans.length - 1)
    return {
      action: 'subscription.upgraded',
      category: 'billing',
      target: { id: `sub_${number()}`, type: 'subscription' },
      payload: { seats: 5 * (1 + random.integer(40)) },
      changes: [{ field: 'plan', old: plans[from]!, new: plans[from + 1]! }],
    }
  },
]

const documentActions: readonly DemoAction[] = [
  ({ random, number }) => ({
    action: 'document.viewed',
    category: 'documents',
    target: { id: `doc_${number()}`, type: 'document' },
    payload: { title: random.pick(documents), pages: 1 + random.integer(60) },
  }),
  ({ random, number }) => ({
    action: 'document.created',
    category: 'documents',
    target: { id: `doc_${number()}`, type: 'document' },
    payload: { title: random.pick(documents), template: random.next() < 0.4 },
  }),
  ({ random, number, someone }) => ({
    action: 'document.shared',
    category: 'documents',
    target: { id: `doc_${number()}`, type: 'document' },
    payload: {
      title: random.pick(documents),
      with: someone().email,
      permission: random.pick(['read', 'comment', 'edit']),
    },
  }),
  ({ random, number }) => ({
    action: 'document.deleted',
    category: 'documents',
    target: { id: `doc_${number()}`, type: 'document' },
    payload: { title: random.pick(documents), permanent: random.next() < 0.2 },
  }),
  ({ number }) => ({
    action: 'document.exported',
    category: 'documents',
    target: { id: `doc_${number()}`, type: 'document' },
    payload: { format: 'pdf', bytes: 1_024 * number() },
  }),
]

const admin: readonly DemoAction[] = [
  ({ random, someone }) => {
    const invited = someone()
    return {
      action: 'member.invited',
      category: 'admin',
      target: { id: invited.id, type: 'user' },
      payload: { email: invited.email, role: random.pick(roles) },
    }
  },
  ({ random, someone }) => {
    const from = random.integer(roles.length)
    return {
      action: 'member.role_changed',
      category: 'admin',
      target: { id: someone().id, type: 'user' },
      changes: [{ field: 'role', old: roles[from]!, new: roles[(from + 1) % roles.length]! }],
    }
  },
  ({ random }) => ({
    action: 'settings.updated',
    category: 'admin',
    target: { id: 'security', type: 'settings' },
    changes: [
      { field: 'sessionTimeoutMinutes', old: 60, new: random.pick([15, 30, 120]) },
      { field: 'requireMfa', old: false, new: true },
    ],
  }),
  ({ number }) => ({
    action: 'api_key.created',
    category: 'admin',
    target: { id: `key_${number()}`, type: 'api_key' },
    payload: { scopes: ['read', 'write'] },
  }),
  ({ random }) => ({
    action: 'backup.completed',
    category: 'admin',
    payload: { durationSeconds: 30 + random.integer(600), objects: random.integer(100_000) },
    automatic: true,
  }),
]

/** Signing in and reading documents happen most, so they stand here more than once. */
export const demoActions: readonly DemoAction[] = [
  ...auth,
  ...auth,
  ...billing,
  ...documentActions,
  ...documentActions,
  ...admin,
]
