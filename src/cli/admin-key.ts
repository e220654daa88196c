import type { Command } from 'commander'
import { listApiKeys, type ApiKeyRecord } from '../directory/api-key.store.js'
import { withControl } from '../directory/with-control.js'
import { decodeId, encodeId } from '../kernel/ids.js'
import { createApiKey } from '../workspaces/create-api-key.js'
import { revokeApiKey } from '../workspaces/revoke-api-key.js'
import { companyNamed, momentOf, workspaceNamed } from './admin-names.js'
import type { AdminRow } from './admin-output.js'
import type { RunAdmin } from './admin-session.js'

/** The newest keys that are listed. */
const KEYS_LISTED_MAX = 1_000

interface CreateOptions {
  readonly company?: string
  readonly workspace?: string
  readonly name: string
  readonly readOnly?: boolean
  readonly allow?: readonly string[]
  readonly expires?: Date
}

/** Adds `key create`, `key list` and `key revoke`. */
export function addKeyCommands(admin: Command, run: RunAdmin): void {
  const key = admin.command('key').description('API keys.')
  key
    .command('create')
    .description(
      'Makes an API key and shows it, once: of a workspace, to record and read there, or of a company, to read all of it.',
    )
    .option('--company <company>', 'for a company key: id or slug')
    .option('--workspace <workspace>', 'for a workspace key: id, or company/workspace by their slugs')
    .requiredOption('--name <name>', 'its name, for people')
    .option('--read-only', 'it may not record')
    .option('--allow <networks...>', 'addresses and CIDR networks it may be used from (default: any)')
    .option('--expires <moment>', 'from when on it is refused, like 2027-01-31T00:00:00Z (default: never)', momentOf)
    .option('--json', 'answer in JSON')
    .action((options: CreateOptions, command: Command) => {
      const { company, workspace } = options
      if ((company === undefined) === (workspace === undefined))
        command.error('error: give either --company or --workspace')
      return run(command, async (session) => {
        const owner = await withControl(session.control, async (em) => {
          if (workspace === undefined)
            return { scope: 'COMPANY' as const, companyId: (await companyNamed(em, company!)).id }
          const { id: workspaceId, companyId } = await workspaceNamed(em, workspace)
          return { scope: 'WORKSPACE' as const, companyId, workspaceId }
        })
        const { name, readOnly, allow: ipAllowlist, expires: expiresAt } = options
        const { apiKey, secret } = await createApiKey(session, { ...owner, name, readOnly, ipAllowlist, expiresAt })
        return { ...describe(apiKey), secret }
      })
    })
  key
    .command('list')
    .description('Lists the API keys of a company.')
    .requiredOption('--company <company>', 'the company: id or slug')
    .option('--json', 'answer in JSON')
    .action(({ company }: { company: string }, command: Command) =>
      run(command, ({ control }) =>
        withControl(control, async (em) =>
          (await listApiKeys(em, (await companyNamed(em, company)).id, KEYS_LISTED_MAX)).map(describe),
        ),
      ),
    )
  key
    .command('revoke')
    .description('Revokes an API key: it is refused from now on.')
    .argument('<id>', 'its id, key_…')
    .option('--json', 'answer in JSON')
    .action((id: string, _: unknown, command: Command) =>
      run(command, async (session) =>
        describe(await revokeApiKey(session, { apiKeyId: decodeId('apiKey', id, 'id') })),
      ),
    )
}

const describe = (key: ApiKeyRecord): AdminRow => ({
  id: encodeId('apiKey', key.id),
  name: key.name,
  prefix: key.prefix,
  scope: key.scope,
  workspace: key.workspaceId === null ? null : encodeId('workspace', key.workspaceId),
  readOnly: key.readOnly,
  ipAllowlist: key.ipAllowlist,
  expiresAt: key.expiresAt?.toISOString() ?? null,
  revokedAt: key.revokedAt?.toISOString() ?? null,
  lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  createdAt: key.createdAt.toISOString(),
})
