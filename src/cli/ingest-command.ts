import { InvalidArgumentError, Option, type Command } from 'commander'
import { createHyreLogClient, HyreLogError } from '../sdk/index.js'
import { createProgress, type IngestProgress } from './ingest-progress.js'
import { sendBatch, type IngestTally, type PlacedEvent } from './ingest-send.js'
import { ingestFormats, readRecords, totalBytes, type IngestFormat } from './ingest-source.js'

/** What a command needs of the process it runs in. */
export interface CliProcess {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

export const exitCodes = { done: 0, refused: 1, usage: 2, stopped: 3 } as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

interface IngestOptions {
  readonly format?: IngestFormat
  readonly endpoint?: string
  readonly key?: string
  readonly batch: number
  readonly project?: string
}

export const endpointDefault = 'http://127.0.0.1:4000/graphql'
const batchEventsDefault = 500
/** What the service takes in one call. */
const batchEventsMax = 1000
/** Safely under the service's limit on the body of a request. */
const batchBytesMax = 768 * 1024
/** Refusals beyond these are counted, not listed. */
const listedRefusalsMax = 1000

const help = `
Formats: a file that begins with {"Records": is CloudTrail's, as AWS delivers it; anything else is NDJSON, one
IngestEventInput a line. Files packed with gzip are told by their content. With no FILE, or -, standard input is read.

Repeating: CloudTrail records carry their eventID as idempotency key. An NDJSON line without one gets a digest of its
content if it has an occurredAt. The service knows a key for 24 hours at least: within them the same command can be run
again, and records nothing twice.

The key is a workspace's (hlk_…), better given in the environment than on the command line, where other users of the
machine can read it.

Environment: HYRELOG_ENDPOINT, HYRELOG_API_KEY.

Exit codes:
  0  every record is recorded, or was before, or is queued: kept, and recorded when its region is back
  1  some records were refused, or a file could not be read; the others are recorded
  2  the command was not understood
  3  stopped: the endpoint could not be reached, or refused the key

Examples:
  $ hyrelog ingest --key hlk_ws_… logs/*.json.gz
  $ aws s3 cp s3://trails/2023/07/10/a.json.gz - | hyrelog ingest
  $ hyrelog ingest --format ndjson --project prj_… --batch 1000 events.ndjson`

function batchOf(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > batchEventsMax)
    throw new InvalidArgumentError(`It must be a number from 1 to ${batchEventsMax}.`)
  return value
}

/** Adds `ingest` to the program; the action hands its exit code to `onExit`. */
export function addIngestCommand(program: Command, cli: CliProcess, onExit: (code: ExitCode) => void): void {
  program
    .command('ingest')
    .summary('record events from files')
    .description('Records the events of CloudTrail or NDJSON files in the workspace of the key, in order.')
    .argument('[file...]', 'files to read; - or none is standard input')
    .addOption(
      new Option('--format <format>', 'the format of all files (default: told by each one)').choices(ingestFormats),
    )
    .option('--endpoint <url>', `the GraphQL endpoint (default: $HYRELOG_ENDPOINT or ${endpointDefault})`)
    .option('--key <key>', 'the API key of a workspace (default: $HYRELOG_API_KEY)')
    .option('--batch <number>', `events per request, 1 to ${batchEventsMax}`, batchOf, batchEventsDefault)
    .option('--project <id>', 'the project (prj_…) of events that name none')
    .addHelpText('after', help)
    .action(async (files: readonly string[], options: IngestOptions, command: Command) => {
      const key = options.key ?? cli.env['HYRELOG_API_KEY']
      if (key === undefined || key === '') command.error('error: no key: give --key or set HYRELOG_API_KEY')
      const endpoint = options.endpoint ?? cli.env['HYRELOG_ENDPOINT'] ?? endpointDefault
      if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol))
        command.error('error: the endpoint must be an http or https URL')
      onExit(await ingest(files.length === 0 ? ['-'] : files, { ...options, key, endpoint }, cli))
    })
}

interface Ingest {
  readonly tally: IngestTally
  readonly progress: IngestProgress
  unreadable: number
}

/** The batches of the input: at most that many events, and at most {@link batchBytesMax} unless one event is larger. */
async function* batchesOf(
  files: readonly string[],
  options: IngestOptions,
  cli: CliProcess,
  run: Ingest,
  refuse: (at: string, reason: string) => void,
): AsyncGenerator<{ events: PlacedEvent[]; bytesRead: number }> {
  let events: PlacedEvent[] = []
  let bytes = 0
  let bytesRead = 0
  for await (const record of readRecords(files, options.format, cli.stdin)) {
    bytesRead = record.bytesRead
    if ('unreadable' in record) {
      run.unreadable++
      run.progress.line(`${record.at} ${record.unreadable}`)
      continue
    }
    run.tally.read++
    if ('fault' in record) {
      run.tally.refused++
      refuse(record.at, record.fault)
      continue
    }
    const projectId = record.event.projectId ?? options.project
    const event = projectId === undefined ? record.event : { ...record.event, projectId }
    const size = Buffer.byteLength(JSON.stringify(event)) + 1
    if (events.length >= options.batch || (events.length > 0 && bytes + size > batchBytesMax)) {
      yield { events, bytesRead }
      events = []
      bytes = 0
    }
    events.push({ at: record.at, event })
    bytes += size
  }
  if (events.length > 0) yield { events, bytesRead }
}

export function messageOf(error: HyreLogError): string {
  const request = error.requestId === undefined ? '' : ` (request ${error.requestId})`
  return `${error.code}: ${error.message}${request}`
}

async function ingest(
  files: readonly string[],
  options: IngestOptions & { readonly key: string; readonly endpoint: string },
  cli: CliProcess,
): Promise<ExitCode> {
  const client = createHyreLogClient({ endpoint: options.endpoint, apiKey: options.key })
  const run: Ingest = {
    tally: { read: 0, recorded: 0, queued: 0, replayed: 0, refused: 0 },
    progress: createProgress(cli.stderr, await totalBytes(files)),
    unreadable: 0,
  }
  let listed = 0
  const refuse = (at: string, reason: string): void => {
    listed++
    if (listed <= listedRefusalsMax) run.progress.line(`${at} refused: ${reason}`)
    else if (listed === listedRefusalsMax + 1) run.progress.line('Further refusals are counted, but not listed.')
  }
  let stopped: HyreLogError | null = null
  try {
    for await (const batch of batchesOf(files, options, cli, run, refuse)) {
      await sendBatch(batch.events, { client, tally: run.tally, onRefused: refuse })
      run.progress.update(run.tally, batch.bytesRead)
    }
  } catch (error) {
    if (!(error instanceof HyreLogError)) throw error
    stopped = error
  } finally {
    run.progress.stop()
  }
  if (stopped !== null) cli.stderr.write(`Stopped. ${messageOf(stopped)}\n`)
  cli.stdout.write(`${summaryOf(run)}\n`)
  if (stopped !== null) return exitCodes.stopped
  return run.tally.refused > 0 || run.unreadable > 0 ? exitCodes.refused : exitCodes.done
}

function summaryOf({ tally, unreadable }: Ingest): string {
  const parts = [
    `${tally.read} read`,
    `${tally.recorded} recorded`,
    ...(tally.queued > 0 ? [`${tally.queued} queued`] : []),
    `${tally.replayed} replayed`,
    `${tally.refused} refused`,
    ...(unreadable > 0 ? [`${unreadable} ${unreadable === 1 ? 'file' : 'files'} unreadable`] : []),
  ]
  return parts.join(', ')
}
