import { setImmediate as nextTurn } from 'node:timers/promises'
import { treeNodeReader } from '../checkpoints/tree-node.store.js'
import type { Database, Transaction } from '../db/database.js'
import type { ControlFacts } from '../directory/control-facts.js'
import type { ArchiveAccess } from '../events/archived-events.js'
import { regionUnavailable } from '../kernel/domain-error.js'
import type { Region } from '../kernel/region.js'
import type { ClaimedTombstone } from '../ledger/chain-event.js'
import { fromBytes, utf8Text } from '../ledger/crypto.js'
import { writeCheckpointLine, writeExportLine } from '../ledger/export-line.js'
import type { NoteKey } from '../ledger/signed-note.js'
import type { RegionRegistry } from '../regions/region-registry.js'
import type { SubjectKeys } from '../sealing/subject-keys.js'
import { csvHeader, csvLines } from './export-csv.js'
import {
  readErasuresOf,
  readEvents,
  readTombstones,
  type StoredEvent,
  type StoredTombstone,
} from './export-event.store.js'
import { deleteExportFile, ExportFile, exportFileName, exportFolder } from './export-file.js'
import { EXPORT_KEPT_MS, type ExportJob, type ExportSnapshot, totalRows } from './export-job.js'
import { completeExport, type ExportLease, storeProgress, storeSnapshot } from './export-job.store.js'
import { type OpenedEvent, openEvents } from './open-event.js'
import { RunProver } from './run-prover.js'
import { TombstoneProver } from './tombstone-prover.js'
import { type InRegion, type SnapshotDeps, takeSnapshot } from './take-snapshot.js'

/** Events of one transaction: a few megabytes at the most, whatever the export's size. */
const BATCH_EVENTS = 250
const BATCH_TIMEOUT_MS = 15_000
/** What is lost at a crash, at the most, beyond one batch. */
const SYNC_EVERY_MS = 500

/** Another process writes the export now. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/** What no repetition mends. Its message is for the client. */
export class ExportImpossible extends Error {
  override readonly name = 'ExportImpossible'
}

/** Something was erased after the snapshot that isn't written yet: only a later snapshot can say so. */
export class SnapshotOutdated extends Error {
  override readonly name = 'SnapshotOutdated'
}

export interface WriteDeps extends SnapshotDeps {
  readonly control: Database
  readonly registry: Pick<RegionRegistry, 'use'>
  /** Whether the region was down when somebody of the company was erased, and has not followed. */
  readonly owesErasure: (region: Region, companyId: string) => boolean
  readonly facts: Pick<ControlFacts, 'workspace'>
  readonly subjectKeys: SubjectKeys
  readonly archives: Pick<ArchiveAccess, 'look'>
  /** The keys, of all that sign the region's checkpoints, that signed this note. */
  readonly signersOf: (job: ExportJob, note: string) => Promise<readonly NoteKey[]>
  readonly exportsDir: string
  readonly leaseMs: number
}

/**
 * Writes an export to its end, or goes on where an earlier attempt stopped: each event of the snapshot once, in the
 * order of the chain. Memory doesn't grow with it. Throws {@link LeaseLost}, {@link ExportImpossible},
 * {@link SnapshotOutdated}, NotSignedYet, DatabaseError, and the signal's reason where that is aborted; what is on disk by then is noted.
 */
export async function writeExport(
  deps: WriteDeps,
  job: ExportJob,
  lease: ExportLease,
  signal: AbortSignal,
): Promise<void> {
  if (deps.owesErasure(job.region, job.companyId)) throw regionUnavailable(job.region)
  const inRegion: InRegion = (work) =>
    deps.registry.use(job.region, ({ database }) =>
      database.transaction({ companies: [job.companyId], readOnly: true, timeoutMs: BATCH_TIMEOUT_MS, signal }, work),
    )
  const snapshot = job.snapshot ?? (await fixSnapshot(deps, inRegion, job, lease, signal))
  const folder = exportFolder(deps.exportsDir, job.region)
  const fileName = exportFileName(job.id, job.attempts, job.format)
  const before = job.fileName === null ? null : { fileName: job.fileName, bytes: job.bytesWritten }
  const file = await ExportFile.begin(folder, fileName, before)
  let done = false
  try {
    const resumed = file.bytes > 0
    const writer = new Writer(deps, { ...job, snapshot }, { file, fileName, lease, inRegion, signal })
    await writer.begin(resumed ? job.rowsWritten : 0)
    if (before !== null && before.fileName !== fileName) await deleteExportFile(folder, before.fileName)
    await writer.writeEvents()
    await writer.end()
    done = true
  } finally {
    if (!done) await file.abandon()
  }
}

async function fixSnapshot(
  deps: WriteDeps,
  inRegion: InRegion,
  job: ExportJob,
  lease: ExportLease,
  signal: AbortSignal,
): Promise<ExportSnapshot> {
  const workspace = await deps.facts.workspace(job.workspaceId)
  if (workspace === null) throw new ExportImpossible('The workspace is gone.')
  const snapshot = await takeSnapshot(deps, inRegion, job, workspace.retentionDays, signal)
  if (snapshot.firstSequence === null && job.format === 'NDJSON')
    throw new ExportImpossible('There is no event in this range: nothing to prove.')
  if (!(await storeSnapshot(deps.control, lease, snapshot))) throw new LeaseLost('another process has the export')
  return snapshot
}

const COLD_MESSAGE = 'Some of the events are in cold archive objects: ask for their restore first.'

/** Whether an event's body and blobs are in an archive object. */
const isElsewhere = ({ objectId, category }: StoredEvent): boolean => objectId !== null && category !== 'system'

interface Writing {
  readonly file: ExportFile
  readonly fileName: string
  readonly lease: ExportLease
  readonly inRegion: InRegion
  readonly signal: AbortSignal
}

class Writer {
  readonly #deps: WriteDeps
  readonly #job: ExportJob & { readonly snapshot: ExportSnapshot }
  readonly #at: Writing
  /** Of a part, whose lines verify alone. */
  readonly #provers: { readonly run: RunProver; readonly tombstones: TombstoneProver } | null
  #rows = 0
  #syncedAtMs = performance.now()

  constructor(deps: WriteDeps, job: ExportJob & { readonly snapshot: ExportSnapshot }, at: Writing) {
    this.#deps = deps
    this.#job = job
    this.#at = at
    const { firstSequence, lastSequence, treeSize } = job.snapshot
    const isWhole = firstSequence === 1 && lastSequence === treeSize
    this.#provers =
      isWhole || job.format === 'CSV'
        ? null
        : { run: new RunProver(treeSize), tombstones: new TombstoneProver(job.workspaceId) }
  }

  async begin(rows: number): Promise<void> {
    this.#rows = rows
    if (this.#at.file.bytes === 0 && this.#job.format === 'CSV') await this.#at.file.append(csvHeader())
    await this.#sync()
  }

  async writeEvents(): Promise<void> {
    const { firstSequence, lastSequence } = this.#job.snapshot
    if (firstSequence === null || lastSequence === null) return
    for (let from = firstSequence + this.#rows; from <= lastSequence;) {
      this.#at.signal.throwIfAborted()
      const to = Math.min(from + BATCH_EVENTS - 1, lastSequence)
      const text = await this.#textOf(from, to)
      await this.#at.file.append(text)
      this.#rows += to - from + 1
      from = to + 1
      if (performance.now() - this.#syncedAtMs > SYNC_EVERY_MS) await this.#sync()
      // Requests of others come between two batches.
      await nextTurn()
    }
  }

  async end(): Promise<void> {
    const { format, snapshot } = this.#job
    if (this.#rows !== totalRows(this.#job)) throw new Error('an export has not as many rows as its snapshot')
    if (this.#provers !== null) await this.#writeErasures()
    if (format === 'NDJSON' && snapshot.note !== null) {
      const keys = await this.#deps.signersOf(this.#job, snapshot.note)
      await this.#at.file.append(`${writeCheckpointLine(snapshot.note, keys)}\n`)
    }
    const sha256 = await this.#at.file.finish()
    const completedAt = this.#deps.clock.now()
    const done = {
      rows: this.#rows,
      bytes: this.#at.file.bytes,
      fileName: this.#at.fileName,
      sha256,
      completedAt,
      expiresAt: new Date(completedAt.getTime() + EXPORT_KEPT_MS),
    }
    if (!(await completeExport(this.#deps.control, this.#at.lease, done)))
      throw new LeaseLost('another process has the export')
  }

  async #sync(): Promise<void> {
    const { file, fileName, lease } = this.#at
    await file.sync()
    const progress = { rows: this.#rows, bytes: file.bytes, fileName }
    if (!(await storeProgress(this.#deps.control, lease, progress, this.#deps.leaseMs)))
      throw new LeaseLost('another process has the export')
    this.#syncedAtMs = performance.now()
  }

  async #textOf(from: number, to: number): Promise<string> {
    const { inRegion } = this.#at
    const text = await inRegion(async (tx) => {
      const events = await this.#eventsOf(tx, from, to)
      return events.some(isElsewhere) ? events : this.#linesOf(tx, events, from, to)
    })
    if (typeof text === 'string') return text
    // Objects are read while no transaction waits for them.
    const events = await this.#withArchived(text)
    return inRegion((tx) => this.#linesOf(tx, events, from, to))
  }

  async #eventsOf(tx: Transaction, from: number, to: number): Promise<readonly StoredEvent[]> {
    const events = await readEvents(tx, this.#job.workspaceId, from, to)
    if (events.length !== to - from + 1)
      throw new ExportImpossible(`The chain has a gap between ${from} and ${to}: it can't be exported as a whole.`)
    return events
  }

  async #withArchived(events: readonly StoredEvent[]): Promise<readonly StoredEvent[]> {
    const { region, companyId } = this.#job
    const objectIds = [...new Set(events.flatMap((event) => (isElsewhere(event) ? event.objectId! : [])))]
    const objects = await this.#deps.archives.look({ region, companyId, objectIds })
    if ([...objects.values()].includes('COLD')) throw new ExportImpossible(COLD_MESSAGE)
    return events.map((event) => {
      if (!isElsewhere(event)) return event
      const found = objects.get(event.objectId!) ?? 'DAMAGED'
      const line = typeof found === 'string' ? undefined : found.get(event.sequence)
      if (line === undefined)
        throw new ExportImpossible(`The archive object with event ${event.sequence} is damaged: it can't be exported.`)
      return { ...event, ...line, objectId: null }
    })
  }

  async #linesOf(tx: Transaction, events: readonly StoredEvent[], from: number, to: number): Promise<string> {
    const { workspaceId, region, format } = this.#job
    const opened = await openEvents(tx, this.#deps.subjectKeys, { region, workspaceId }, events)
    if (format === 'CSV') return csvLines(region, opened)
    // After the events: one that lost its values in between is then read with its tombstones at least.
    const tombstones = Map.groupBy(await readTombstones(tx, workspaceId, from, to), ({ sequence }) => sequence)
    let text = ''
    for (const one of opened) text += `${await this.#lineOf(tx, one, tombstones.get(one.event.sequence) ?? [])}\n`
    return text
  }

  /** The erasures that tombstones of the run name and that come after it. */
  async #writeErasures(): Promise<void> {
    const { workspaceId, snapshot } = this.#job
    const { firstSequence, lastSequence } = snapshot
    const { file, inRegion } = this.#at
    const erasures = await inRegion((tx) => readErasuresOf(tx, workspaceId, firstSequence!, lastSequence!))
    for (const sequence of erasures) {
      // One beyond the snapshot erased what was written already, as it was then.
      if (sequence > snapshot.treeSize) break
      await file.append(await this.#textOf(sequence, sequence))
      this.#rows++
    }
  }

  async #lineOf(
    tx: Transaction,
    { event, disclosures }: OpenedEvent,
    stored: readonly StoredTombstone[],
  ): Promise<string> {
    const { sequence, term, prevHash, hash } = event
    const body = utf8Text(event.body)
    if (body === null) throw new ExportImpossible(`The body of event ${sequence} is damaged: it can't be exported.`)
    if (stored.some(({ erasure }) => erasure > this.#job.snapshot.treeSize))
      throw new SnapshotOutdated('something was erased after the snapshot')
    const tombstones: ClaimedTombstone[] = []
    for (const one of stored)
      tombstones.push(
        this.#provers === null
          ? { digest: fromBytes(one.digest), erasure: one.erasure }
          : await this.#provers.tombstones.prove(tx, one),
      )
    const read = treeNodeReader(tx, this.#job.workspaceId)
    const proof = await this.#provers?.run.proofOf(sequence, read)
    return writeExportLine({
      body,
      sequence,
      term,
      prevHash: sequence === 1 ? null : fromBytes(prevHash),
      hash: fromBytes(hash),
      disclosures,
      tombstones,
      ...(proof === undefined ? {} : { proof }),
    })
  }
}
