#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { addExportCommand } from './export-command.js'
import { addIngestCommand, exitCodes, type CliProcess } from './ingest-command.js'
import { packageVersion } from './package-version.js'
import { addVerifyCommand } from './verify-command.js'

const cli: CliProcess = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env }

const program = new Command('hyrelog')
  .description('HyreLog from the command line: record, export and verify events, administer an installation.')
  .version(packageVersion())
  .showHelpAfterError('(--help tells more)')
  .exitOverride()
const onExit = (code: number): void => {
  process.exitCode = code
}
addIngestCommand(program, cli, onExit)
addExportCommand(program, cli, onExit)
addVerifyCommand(program, cli, onExit)
if (process.argv.slice(2, 4).includes('admin')) {
  // These work on the database itself; whoever only sends events need not wait for an ORM to load.
  const { addDirectoryCommands } = await import('./admin-commands.js')
  const { addAdminRegionCommands } = await import('./admin-region.js')
  addAdminRegionCommands(program, cli, onExit)
  addDirectoryCommands(program, cli, onExit)
} else {
  program.command('admin').summary('administer an installation: regions, companies, keys, staff')
}

try {
  await program.parseAsync()
} catch (error) {
  // Commander has said what was wrong; asking for help or the version is not an error.
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage
}
