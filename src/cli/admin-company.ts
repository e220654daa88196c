import type { Command } from 'commander'
import { listCompanies } from '../directory/company.store.js'
import type { CompanyFacts } from '../directory/facts.js'
import { withControl } from '../directory/with-control.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { createCompany } from '../workspaces/create-company.js'
import { daysOf, regionOf, regionsOf } from './admin-names.js'
import type { AdminRow } from './admin-output.js'
import type { RunAdmin } from './admin-session.js'

interface CreateOptions {
  readonly name: string
  readonly slug?: string
  readonly region?: Region
  readonly replicateTo?: readonly Region[]
  readonly retentionDays?: number
}

/** Adds `company create` and `company list`. */
export function addCompanyCommands(admin: Command, run: RunAdmin): void {
  const company = admin.command('company').description('Companies: the tenants.')
  company
    .command('create')
    .description('Makes a company.')
    .requiredOption('--name <name>', 'its name')
    .option('--slug <slug>', 'its short name (default: made from the name)')
    .option('--region <region>', 'its primary region (default: AU)', regionOf)
    .option('--replicate-to <regions>', 'regions that keep replicas, separated by commas', regionsOf)
    .option('--retention-days <days>', 'days for which its events are kept (default: 365)', daysOf)
    .option('--json', 'answer in JSON')
    .action((options: CreateOptions, command: Command) =>
      run(command, async (session) =>
        describe(
          await createCompany(session, {
            name: options.name,
            slug: options.slug,
            dataRegion: options.region,
            replicateTo: options.replicateTo,
            retentionDays: options.retentionDays,
          }),
        ),
      ),
    )
  company
    .command('list')
    .description('Lists the companies.')
    .option('--json', 'answer in JSON')
    .action((_: unknown, command: Command) =>
      run(command, async ({ control }) => (await withControl(control, listCompanies)).map(describe)),
    )
}

const describe = (company: CompanyFacts): AdminRow => ({
  id: encodeId('company', company.id),
  slug: company.slug,
  name: company.name,
  dataRegion: company.dataRegion,
  replicateTo: company.replicateTo,
  retentionDays: company.retentionDays,
  createdAt: company.createdAt.toISOString(),
})
