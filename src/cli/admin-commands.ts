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
import { addWorkspaceCommands } from './admin-workspace.js'
import { exitCodes, type CliProcess, type ExitCode } from './ingest-command.js'

/** The `admin` command of the program, added when it is not there yet. */
function adminCommand(program: Command): Command {
  const found = program.commands.find((command) => command.name() === 'admin')
  return found ?? program.command('admin').description('Administers an installation.')
}

/** Adds `admin company|workspace|project|key …`; the actions hand their exit code to `onExit`. */
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
}

/** Null for what is our own mistake. */
function exitCodeOf(error: unknown): ExitCode | null {
  if (error instanceof DomainError) return error.code === 'REGION_UNAVAILABLE' ? exitCodes.stopped : exitCodes.refused
  if (error instanceof ConfigError || error instanceof AdminRefusal) return exitCodes.refused
  return error instanceof DatabaseError ? exitCodes.stopped : null
}
