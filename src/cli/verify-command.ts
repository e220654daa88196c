import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { type ExportKey, type ExportVerdict, verifyExport } from '../sdk/index.js'
import type { CliProcess } from './ingest-command.js'
import { createProgressBar } from './progress-bar.js'
import { keepSeen, readSeen, SeenFileError } from './seen-file.js'
import { openSource, type VerifySource } from './verify-source.js'

interface VerifyOptions {
  readonly keys?: string
  readonly log?: string
  readonly workspace?: string
  readonly seen?: string
  readonly json?: boolean
}

type Outcome = ExportVerdict['outcome']

const exitCodeOf: Readonly<Record<Outcome, number>> = {
  OK: 0,
  OK_WITH_ERASURES: 10,
  INCOMPLETE: 20,
  FORK: 30,
  INVALID: 40,
}
const wordsOf: Readonly<Record<Outcome, string>> = {
  OK: 'ok',
  OK_WITH_ERASURES: 'ok with erasures',
  INCOMPLETE: 'incomplete',
  FORK: 'fork',
  INVALID: 'invalid',
}
const USAGE = 2
const UNREADABLE = 3

const help = `
Everything happens on this machine: no network, no database. FILE is an NDJSON export, packed with gzip or not; - is
standard input.

--keys takes the JSON of https://<your HyreLog>/.well-known/hyrelog-keys.json, fetched earlier, on another way than the
export. Keys inside the export are never trusted: without --keys the verdict says "signer not pinned".

--seen keeps the newest checkpoint of each workspace in FILE and compares the next export with it: a log that was set back
or has two histories is found out then.

Exit codes:
   0  ok: every event is what was recorded
  10  ok, and something was erased, as the log itself says
  20  incomplete: events or the checkpoint are missing
  30  fork: the log has signed two histories
  40  invalid: something is not what was recorded
   2  the command was not understood
   3  the file could not be read

Examples:
  $ hyrelog verify --keys hyrelog-keys.json --seen seen.json events.ndjson
  $ gunzip < events.ndjson.gz | hyrelog verify --json -`

/** Adds `verify` to the program; the action hands its exit code to `onExit`. */
export function addVerifyCommand(program: Command, cli: CliProcess, onExit: (code: number) => void): void {
  program
    .command('verify')
    .summary('verify an export offline')
    .description(
      'Verifies an NDJSON export: that no event was altered, added, moved or left out since it was recorded.',
    )
    .argument('<file>', 'the export; - is standard input')
    .option('--keys <file>', 'the public keys of the log')
    .option('--log <name>', 'the name of the log (default: that of the file of keys)')
    .option('--workspace <uuid>', 'the workspace it must be of, as a UUID')
    .option('--seen <file>', 'where the newest checkpoint of each workspace is kept')
    .option('--json', 'answer in JSON')
    .addHelpText('after', help)
    .action(async (file: string, options: VerifyOptions) => {
      try {
        onExit(await verify(file, options, cli))
      } catch (error) {
        const explanation = explain(error)
        if (explanation === null) throw error
        cli.stderr.write(`error: ${explanation.message}\n`)
        onExit(explanation.code)
      }
    })
}

class KeysFileError extends Error {
  override readonly name = 'KeysFileError'
}

function explain(error: unknown): { readonly message: string; readonly code: number } | null {
  if (error instanceof KeysFileError || error instanceof SeenFileError) return { message: error.message, code: USAGE }
  const { code, syscall, path } = error as NodeJS.ErrnoException
  if (syscall === undefined) return null
  return { message: `${path ?? 'the input'} can't be read (${code}).`, code: UNREADABLE }
}

async function readKeys(path: string): Promise<{ readonly logName?: string; readonly keys: readonly ExportKey[] }> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new KeysFileError(`${path} can't be read (${error.code}).`)
  })
  const noKeys = new KeysFileError(`${path} holds no keys: it must be what /.well-known/hyrelog-keys.json answers.`)
  let content: { logName?: unknown; keys?: unknown }
  try {
    content = JSON.parse(text) as typeof content
  } catch {
    throw noKeys
  }
  const { logName, keys } = content
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isKey)) throw noKeys
  return { keys, ...(typeof logName === 'string' ? { logName } : {}) }
}

const isKey = (value: unknown): value is ExportKey =>
  typeof value === 'object' &&
  value !== null &&
  'name' in value &&
  typeof value.name === 'string' &&
  'ed25519' in value &&
  typeof value.ed25519 === 'string' &&
  /^[0-9a-f]{64}$/.test(value.ed25519)

async function verify(file: string, options: VerifyOptions, cli: CliProcess): Promise<number> {
  const given = options.keys === undefined ? null : await readKeys(options.keys)
  const kept = options.seen === undefined ? [] : await readSeen(options.seen)
  const logName = options.log ?? given?.logName
  const source = await openSource(file, cli.stdin)
  const progress = createProgressBar(cli.stderr)
  let verdict: ExportVerdict
  try {
    verdict = await verifyExport(source.pieces, {
      ...(given === null ? {} : { keys: given.keys }),
      ...(logName === undefined ? {} : { logName }),
      ...(options.workspace === undefined ? {} : { workspaceId: options.workspace }),
      // What nobody vouched for is no evidence against what somebody did.
      seen: kept.filter(({ pinned }) => pinned || given === null),
      onProgress: () => progress.update('verifying', source.bytesRead(), source.bytesTotal ?? 0),
    })
  } finally {
    progress.stop()
  }
  verdict = withDamage(verdict, source)
  if (options.seen !== undefined) await keepSeen(options.seen, kept, verdict)
  tell(verdict, options, cli)
  return exitCodeOf[verdict.outcome]
}

/** A packed file whose content verifies as far as it came out is still not whole. */
function withDamage(verdict: ExportVerdict, source: VerifySource): ExportVerdict {
  const damage = source.damage()
  if (damage === null || (!verdict.ok && !(damage === 'DAMAGED' && verdict.outcome === 'INCOMPLETE'))) return verdict
  const outcome = damage === 'CUT' ? 'INCOMPLETE' : 'INVALID'
  const statement = damage === 'CUT' ? 'the gzip file ends too early' : 'the gzip file is damaged'
  return { ...verdict, ok: false, outcome, checkpoint: null, statement }
}

const warningTexts: Readonly<Record<ExportVerdict['warnings'][number]['code'], string>> = {
  ERASURE_INCOMPLETE: 'values that the log says are erased are still there',
  SIGNER_NOT_PINNED: 'who signed is not known: give --keys',
  IDS_NOT_ALL_COMPARED: 'there are too many events to see whether an id was used twice',
  EARLIER_CHECKPOINT_NOT_COMPARED: 'a checkpoint seen earlier lies outside this export and was not compared',
}

function tell(verdict: ExportVerdict, options: VerifyOptions, cli: CliProcess): void {
  const { outcome, statement, warnings } = verdict
  if (options.json === true) {
    cli.stdout.write(`${JSON.stringify({ ...verdict, exitCode: exitCodeOf[outcome] })}\n`)
    return
  }
  cli.stdout.write(`${wordsOf[outcome]}: ${statement}\n`)
  for (const { code, count, sequence } of warnings) {
    const place = sequence === null ? '' : ` (first at ${sequence}${count > 1 ? `, ${count} times` : ''})`
    cli.stderr.write(`warning: ${warningTexts[code]}${place}\n`)
  }
}
