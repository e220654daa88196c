import type { Command } from 'commander'
import { withControl } from '../directory/with-control.js'
import { listWorkspaces } from '../directory/workspace.store.js'
import { encodeId } from '../kernel/ids.js'
import type { Region } from '../kernel/region.js'
import { createWorkspace } from '../workspaces/create-workspace.js'
import { companyNamed, daysOf, regionOf } from './admin-names.js'
import type { AdminRow } from './admin-output.js'
import type { RunAdmin } from './admin-session.js'

interface CreateOptions {
  readonly company: string
  readonly name: string
  readonly slug?: string
  readonly region?: Region
  readonly retentionDays?: number
}

/** Adds `workspace create` and `workspace list`. */
export function addWorkspaceCommands(admin: Command, run: RunAdmin): void {
  const workspace = admin.command('workspace').description('Workspaces: the chains of a company.')
  workspace
    .command('create')
    .description('Makes a workspace. Its region is for good.')
    .requiredOption('--company <company>', 'its company: id or slug')
    .requiredOption('--name <name>', 'its name')
    .option('--slug <slug>', 'its short name (default: made from the name)')
    .option('--region <region>', "its home region (default: the company's)", regionOf)
    .option('--retention-days <days>', "days for which its events are kept (default: the company's)", daysOf)
    .option('--json', 'answer in JSON')
    .action((options: CreateOptions, command: Command) =>
      run(command, async (session) => {
        const { id: companyId } = await withControl(session.control, (em) => companyNamed(em, options.company))
        const { name, slug, region: dataRegion, retentionDays } = options
        return describe(await createWorkspace(session, { companyId, name, slug, dataRegion, retentionDays }))
      }),
    )
  workspace
    .command('list')
    .description('Lists the workspaces of a company.')
    .requiredOption('--company <company>', 'the company: id or slug')
    .option('--json', 'answer in JSON')
    .action(({ company }: { company: string }, command: Command) =>
      run(command, ({ control }) =>
        withControl(control, async (em) => {
          const owner = await companyNamed(em, company)
          return (await listWorkspaces(em, [owner.id])).map((row) =>
            describe({ ...row, retentionDays: row.retentionDays ?? owner.retentionDays }),
          )
        }),
      ),
    )
}

const describe = (workspace: {
  readonly id: string
  readonly slug: string
  readonly name: string
  readonly dataRegion: Region
  readonly retentionDays: number
  readonly status: string
  readonly createdAt: Date
}): AdminRow => ({
  id: encodeId('workspace', workspace.id),
  slug: workspace.slug,
  name: workspace.name,
  dataRegion: workspace.dataRegion,
  retentionDays: workspace.retentionDays,
  status: workspace.status,
  createdAt: workspace.createdAt.toISOString(),
})
