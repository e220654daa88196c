import type { Command } from 'commander'
import { ConfigError } from '../config.js'
import { DatabaseError } from '../db/database-error.js'
import { DomainError } from '../kernel/domain-error.js'
import { formatAnswer } from './admin-output.js'
import { AdminRefusal } from './admin-refusal.js'
import { withAdminSession, type RunAdmin } from './admin-session.js'
import { addCompanyCommands } from './admin-company.js'
import { addKeyCommands } from './admin-key.js'
import { addSigningKeyCommands } from './admin-signing-key.js'
import { addProjectCommands } from './admin-project.js'
import { addStaffCommands } from './admin-staff.js'
import { addWorkspaceCommands } from './admin-workspace.js'
import { exitCodes, type CliProcess, type ExitCode } from './ingest-command.js'

const help = `
These work on the databases themselves, not on the API: run them where the service runs, in its environment (DATA_DIR for
the embedded servers; CONTROL_DATABASE_URL and its companions for your own). What they change is in the admin log.

Exit codes:
  0  done
  1  refused: the message says why, and nothing has changed
  2  the command was not understood
  3  the control database, or a region that was needed, does not answer`

/** The `admin` command of the program, added when it is not there yet. */
function adminCommand(program: Command): Command {
  const found = program.commands.find((command) => command.name() === 'admin')
  return found ?? program.command('admin').description('Administers an installation.')
}

/** Adds `admin company|workspace|project|key|signing-key|staff …`; the actions hand their exit code to `onExit`. */
export function addDirectoryCommands(program: Command, cli: CliProcess, onExit: (code: ExitCode) => void): void {
  const admin = adminCommand(program)
  const run: RunAdmin = async (command, work) => {
    const json = command.opts<{ json?: boolean }>().json === true
    try {
      cli.stdout.write(formatAnswer(await withAdminSession(cli.env, work), json))
      onExit(exitCodes.done)
    } catch (error) {
      const code = exitCodeOf(error)
      if (code === null) throw error
      cli.stderr.write(`error: ${(error as Error).message}\n`)
      onExit(code)
    }
  }
  addCompanyCommands(admin, run)
  addWorkspaceCommands(admin, run)
  addProjectCommands(admin, run)
  addKeyCommands(admin, run)
  addSigningKeyCommands(admin, run)
  addStaffCommands(admin, run)
  admin.addHelpText('after', help)
}

/** Null for what is our own mistake. */
function exitCodeOf(error: unknown): ExitCode | null {
  if (error instanceof DomainError) return error.code === 'REGION_UNAVAILABLE' ? exitCodes.stopped : exitCodes.refused
  if (error instanceof AdminRefusal) return error.exitCode
  if (error instanceof ConfigError) return exitCodes.refused
  return error instanceof DatabaseError ? exitCodes.stopped : null
}
