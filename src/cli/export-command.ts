import { setTimeout as wait } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import {
  createHyreLogClient,
  HyreLogError,
  type Export,
  type ExportFormat,
  type ExportScope,
  type HyreLogClient,
} from '../sdk/index.js'
import { DownloadFailed, downloadExport } from './export-download.js'
import { type ExportSink, fileSink, readState, streamSink, writeState } from './export-sink.js'
import { type CliProcess, endpointDefault, exitCodes, type ExitCode, messageOf } from './ingest-command.js'
import { createProgressBar, type ProgressBar } from './progress-bar.js'

interface ExportOptions {
  readonly workspace?: string
  readonly from?: string
  readonly to?: string
  readonly format: 'ndjson' | 'csv'
  readonly scope: Lowercase<ExportScope>
  readonly output?: string
  readonly endpoint: string
  readonly key: string
}

const POLL_MS_FIRST = 100
const POLL_MS_MAX = 2_000

const help = `
NDJSON holds everything that is needed to verify the events offline (hyrelog verify); CSV is for people and proves
nothing. Either is a snapshot: every event recorded before the command that --scope and the times choose, each once.

--scope hot has events within their retention, archived those that were moved into archive objects, all has both. Objects
in cold storage have to be restored first: where there are any, the export stops with RESTORE_REQUIRED and names them.

With -o the download goes into FILE.part until it is whole and its SHA-256 is right. Interrupted, the same command goes
on where it stopped, within the 24 hours that the service keeps the export.

Environment: HYRELOG_ENDPOINT, HYRELOG_API_KEY.

Exit codes:
  0  exported
  1  the service could not make the export
  2  the command was not understood
  3  stopped: the endpoint could not be reached, refused the key, or the download failed

Examples:
  $ hyrelog export --workspace ws_… -o events.ndjson
  $ hyrelog export --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --format csv > january.csv
  $ hyrelog export | gzip > events.ndjson.gz`

/** Adds `export` to the program; the action hands its exit code to `onExit`. */
export function addExportCommand(program: Command, cli: CliProcess, onExit: (code: ExitCode) => void): void {
  program
    .command('export')
    .summary('export the events of a workspace, with proof')
    .description('Exports the events of a workspace as of now.')
    .option('--workspace <id>', 'the workspace (ws_…); that of the key where it has one')
    .option('--from <time>', 'events received at this time or later (RFC 3339)')
    .option('--to <time>', 'events received before this time')
    .addOption(new Option('--format <format>', 'what to write').choices(['ndjson', 'csv']).default('ndjson'))
    .addOption(new Option('--scope <scope>', 'of which events').choices(['hot', 'archived', 'all']).default('hot'))
    .option('-o, --output <file>', 'the file to write; - or none is standard output')
    .option('--endpoint <url>', `the GraphQL endpoint (default: $HYRELOG_ENDPOINT or ${endpointDefault})`)
    .option('--key <key>', 'an API key that reads the workspace (default: $HYRELOG_API_KEY)')
    .addHelpText('after', help)
    .action(async (options: Partial<ExportOptions> & Pick<ExportOptions, 'format' | 'scope'>, command: Command) => {
      const key = options.key ?? cli.env['HYRELOG_API_KEY']
      if (key === undefined || key === '') command.error('error: no key: give --key or set HYRELOG_API_KEY')
      const endpoint = options.endpoint ?? cli.env['HYRELOG_ENDPOINT'] ?? endpointDefault
      if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
        command.error('error: the endpoint must be an http or https URL')
      onExit(await runExport({ ...options, key, endpoint }, cli))
    })
}

async function runExport(options: ExportOptions, cli: CliProcess): Promise<ExitCode> {
  const client = createHyreLogClient({ endpoint: options.endpoint, apiKey: options.key })
  const progress = createProgressBar(cli.stderr)
  const path = options.output === undefined || options.output === '-' ? null : options.output
  let sink: ExportSink | null = null
  try {
    const begun = await beginOrResume(client, options, path)
    const made = await untilDone(client, begun, progress)
    if (made.status !== 'DONE') {
      progress.stop()
      cli.stderr.write(`The export failed: ${made.failure ?? 'its file is gone'}\n`)
      return exitCodes.refused
    }
    sink = path === null ? streamSink(cli.stdout) : await fileSink(path)
    const about = await downloadExport({
      endpoint: options.endpoint,
      look: async () => (await client.export({ id: made.id })).export ?? null,
      sink,
      onBytes: (bytes, total) => progress.update('downloading', bytes, total),
    })
    await sink.finish()
    sink = null
    progress.stop()
    const summary = `${about.rowCount} events, ${about.sizeBytes} bytes, sha256 ${about.sha256}\n`
    ;(path === null ? cli.stderr : cli.stdout).write(summary)
    return exitCodes.done
  } catch (error) {
    progress.stop()
    const explanation = explain(error)
    if (explanation === null) throw error
    cli.stderr.write(`Stopped. ${explanation}\n`)
    return exitCodes.stopped
  } finally {
    await sink?.close()
  }
}

function explain(error: unknown): string | null {
  if (error instanceof HyreLogError) return [messageOf(error), ...error.archiveObjectIds].join('\n')
  if (error instanceof DownloadFailed) return error.message
  const { code, syscall } = error as NodeJS.ErrnoException
  return syscall === undefined ? null : `The file can't be written (${code}).`
}

/** The export that an interrupted run had asked for, or a new one. */
async function beginOrResume(client: HyreLogClient, options: ExportOptions, path: string | null): Promise<Export> {
  const { format, scope, from = null, to = null, endpoint } = options
  const workspaceId = options.workspace ?? (await workspaceOfKey(client))
  const request = JSON.stringify([endpoint, workspaceId, from, to, format, scope])
  const state = path === null ? null : await readState(path, request)
  if (state !== null) {
    const { export: known } = await client.export({ id: state.exportId })
    if (known && known.status !== 'EXPIRED' && known.status !== 'FAILED') return known
  }
  const input = {
    workspaceId,
    from,
    to,
    format: format.toUpperCase() as ExportFormat,
    scope: scope.toUpperCase() as ExportScope,
  }
  const { requestExport } = await client.requestExport({ input })
  if (path !== null) await writeState(path, { exportId: requestExport.export.id, request })
  return requestExport.export
}

async function workspaceOfKey(client: HyreLogClient): Promise<string> {
  const { viewer } = await client.viewer()
  if ('workspace' in viewer && viewer.workspace) return viewer.workspace.id
  if ('reason' in viewer) throw new DownloadFailed(`UNAUTHENTICATED: ${viewer.reason}`)
  throw new DownloadFailed('The key is not one of a workspace: say which one with --workspace.')
}

async function untilDone(client: HyreLogClient, begun: Export, progress: ProgressBar): Promise<Export> {
  let about = begun
  for (let pauseMs = POLL_MS_FIRST; about.status === 'QUEUED' || about.status === 'RUNNING';) {
    const { exportedRows, totalRows } = about.progress
    progress.update(`${exportedRows} events`, exportedRows, totalRows ?? 0)
    await wait(pauseMs)
    pauseMs = Math.min(POLL_MS_MAX, pauseMs * 1.5)
    const { export: found } = await client.export({ id: about.id })
    if (!found) throw new DownloadFailed('The export is no longer there.')
    about = found
  }
  return about
}
