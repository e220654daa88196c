import type { Command } from 'commander'
import { withControl } from '../directory/with-control.js'
import { encodeId } from '../kernel/ids.js'
import { createProject } from '../workspaces/create-project.js'
import { workspaceNamed } from './admin-names.js'
import type { RunAdmin } from './admin-session.js'

interface CreateOptions {
  readonly workspace: string
  readonly name: string
  readonly slug?: string
}

/** Adds `project create`. */
export function addProjectCommands(admin: Command, run: RunAdmin): void {
  admin
    .command('project')
    .description('Projects: labels by which a workspace groups its events.')
    .command('create')
    .description('Makes a project.')
    .requiredOption('--workspace <workspace>', 'its workspace: id, or company/workspace by their slugs')
    .requiredOption('--name <name>', 'its name')
    .option('--slug <slug>', 'its short name (default: made from the name)')
    .option('--json', 'answer in JSON')
    .action(({ workspace, name, slug }: CreateOptions, command: Command) =>
      run(command, async (session) => {
        const { id: workspaceId } = await withControl(session.control, (em) => workspaceNamed(em, workspace))
        const project = await createProject(session, { workspaceId, name, slug })
        return {
          id: encodeId('project', project.id),
          slug: project.slug,
          name: project.name,
          createdAt: project.createdAt.toISOString(),
        }
      }),
    )
}
