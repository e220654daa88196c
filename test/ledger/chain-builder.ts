import type { KeyObject } from 'node:crypto'
import type { JsonObject } from '../../src/kernel/canonical-json.js'
import {
  bodyHash,
  type BodyFields,
  buildBody,
  buildKeyRotation,
  type ChainEvent,
  checkpointOrigin,
  type ClaimedTombstone,
  CompactRange,
  type DisclosableFields,
  type Disclosure,
  disclosureDigest,
  disclosuresOf,
  fromBytes,
  inclusionProof,
  linkHash,
  type NodeReader,
  noteSigner,
  publicKeyOf,
  regionKeyName,
  signCheckpoint,
  signingKeyFromSeed,
  toBytes,
  tombstone,
  TombstoneSet,
  writeCheckpointLine,
  writeExportLine,
  ZERO_HASH,
} from '../../src/ledger/index.js'

export const LOG = 'log.example'
export const WORKSPACE = '0195a1b2-0000-7000-8000-00000000a001'
export const OTHER_WORKSPACE = '0195a1b2-0000-7000-8000-00000000a002'
const COMPANY = '0195a1b2-0000-7000-8000-00000000c001'
const REQUEST = '0195a1b2-0000-7000-8000-00000000d001'

export const signingKey = (seed: number): KeyObject => signingKeyFromSeed(Buffer.alloc(32, seed))

/** A reader of stored nodes over leaves in memory, of which only levels 0, 8, 16 … may be asked for. */
export function nodesOf(leaves: readonly Buffer[]): NodeReader {
  const stored = new Map<number, Buffer[]>([[0, [...leaves]]])
  const range = CompactRange.empty()
  for (const leaf of leaves)
    for (const { level, index, hash } of range.append(leaf)) {
      const nodes = stored.get(level) ?? []
      nodes[index] = hash
      stored.set(level, nodes)
    }
  return async (ranges) => ranges.map(({ level, from, to }) => (stored.get(level) ?? []).slice(from, to))
}

export interface BuiltEvent {
  fields: BodyFields
  disclosures: Disclosure[]
  tombstones: ClaimedTombstone[]
  event: Omit<ChainEvent, 'disclosures' | 'tombstones'>
}

/** A chain as the service would write it, that tests then tamper with. Ids, salts and times are always the same. */
export class ChainBuilder {
  readonly events: BuiltEvent[] = []
  readonly keys = new Map<string, KeyObject>()
  readonly workspaceId: string
  #home: string
  #term = 1
  #nextTerm = 1
  #salts = 0

  constructor(options: { workspaceId?: string; home?: string } = {}) {
    this.workspaceId = options.workspaceId ?? WORKSPACE
    this.#home = options.home ?? 'EU'
    for (const [i, region] of ['AU', 'US', 'EU'].entries()) this.keys.set(region, signingKey(i + 1))
  }

  get size(): number {
    return this.events.length
  }

  add(given: DisclosableFields = {}, own: Partial<BodyFields> = {}): this {
    const sequence = this.size + 1
    const disclosures = disclosuresOf(given, () => Buffer.alloc(16).fill(`${this.workspaceId}${this.#salts++}`))
    const at = new Date(Date.UTC(2026, 2, 1) + sequence * 1000).toISOString()
    const fields: BodyFields = {
      id: `0195a1b2-${sequence.toString(16).padStart(4, '0')}-7abc-8def-000000000001`,
      workspace: this.workspaceId,
      company: COMPANY,
      region: this.#home,
      project: null,
      action: 'user.login',
      category: 'auth',
      targetType: null,
      occurredAt: at,
      receivedAt: at,
      ...own,
    }
    this.#term = this.#nextTerm
    this.events.push({ fields, disclosures, tombstones: [], event: this.#link(sequence, fields, disclosures) })
    return this
  }

  #link(sequence: number, fields: BodyFields, disclosures: readonly Disclosure[]): BuiltEvent['event'] {
    const { body, bodyHash: hashOfBody } = buildBody(fields, disclosures)
    const before = this.events[sequence - 2]?.event.hash
    const prevHash = before === undefined ? ZERO_HASH : toBytes(before)
    const term = this.#term
    const hash = linkHash({ term, workspaceId: this.workspaceId, sequence, prevHash, bodyHash: hashOfBody })
    return { sequence, term, body: body.toString('utf8'), prevHash: before ?? null, hash: fromBytes(hash) }
  }

  /** Some ordinary events. */
  addMany(count: number): this {
    for (let i = 0; i < count; i++)
      this.add({
        actor: { id: `u_${i}`, email: `u${i}@example.com` },
        target: { id: `doc_${i}` },
        payload: { ip: '203.0.113.9', n: i },
      })
    return this
  }

  system(action: string, system: JsonObject): this {
    return this.add({}, { action, category: 'system', system })
  }

  /** Erases disclosures whose path passes `which`, and appends the erasure event. */
  erase(sequences: readonly number[], which: (path: string) => boolean = () => true): this {
    const erasure = this.size + 1
    const tombstones: Buffer[] = []
    const erased = new Set<number>()
    for (const sequence of sequences) {
      const built = this.events[sequence - 1]!
      for (const disclosure of built.disclosures.filter(({ path }) => which(path))) {
        const digest = disclosureDigest(disclosure)
        tombstones.push(tombstone({ workspaceId: this.workspaceId, sequence, digest }))
        built.tombstones.push({ digest: fromBytes(digest), erasure })
        erased.add(sequence)
      }
      built.disclosures = built.disclosures.filter(({ path }) => !which(path))
    }
    const root = new TombstoneSet(tombstones).root().toString('base64')
    const member = { disclosures: tombstones.length, events: erased.size, mode: 'DELETE', request: REQUEST, root }
    return this.system('gdpr.erasure', { erasure: member })
  }

  /** Moves the home region: an event `ledger.term`, after which the term is one more. */
  moveHome(region: string): this {
    this.system('ledger.term', { term: { region, term: this.#nextTerm + 1 } })
    this.#home = region
    this.#nextTerm++
    return this
  }

  rotateKey(region: string, successor: KeyObject): this {
    const name = regionKeyName(LOG, region)
    const old = noteSigner(name, this.keys.get(region)!)
    const rotation = buildKeyRotation(name, old, noteSigner(name, successor))
    this.keys.set(region, successor)
    return this.system('ledger.key', { keyRotation: { ...rotation } })
  }

  /** Links everything again from `sequence` on, as a forger with the whole database would. */
  relinkFrom(sequence: number): this {
    for (let at = sequence; at <= this.size; at++) {
      const built = this.events[at - 1]!
      this.#term = built.event.term
      const before = this.events[at - 2]?.event.hash ?? null
      const bodyHashed = Buffer.from(built.event.body, 'utf8')
      built.event = { ...built.event, prevHash: before, hash: this.#hashOf(at, bodyHashed, before) }
    }
    return this
  }

  #hashOf(sequence: number, body: Buffer, before: string | null): string {
    const prevHash = before === null ? ZERO_HASH : toBytes(before)
    const link = { term: this.#term, workspaceId: this.workspaceId, sequence, prevHash, bodyHash: bodyHash(body) }
    return fromBytes(linkHash(link))
  }

  chainEvents(): ChainEvent[] {
    return this.events.map(({ event, disclosures, tombstones }) => ({ ...event, disclosures, tombstones }))
  }

  leaves(): Buffer[] {
    return this.events.map(({ event }) => toBytes(event.hash))
  }

  rootAt(size: number): Buffer {
    const range = CompactRange.empty()
    for (const leaf of this.leaves().slice(0, size)) range.append(leaf)
    return range.root()
  }

  checkpoint(size: number = this.size, region: string = this.#home, log: string = LOG): string {
    const origin = checkpointOrigin(log, this.workspaceId)
    const signer = noteSigner(regionKeyName(log, region), this.keys.get(region)!)
    return signCheckpoint({ origin, treeSize: size, rootHash: this.rootAt(size) }, [signer])
  }

  publicKeys(): { name: string; publicKey: Buffer }[] {
    return Array.from(this.keys, ([region, key]) => ({
      name: regionKeyName(LOG, region),
      publicKey: publicKeyOf(key),
    }))
  }

  /** The lines of a whole export. */
  export(): string[] {
    return [...this.chainEvents().map(writeExportLine), writeCheckpointLine(this.checkpoint(), this.publicKeys())]
  }

  /** The lines of an export of a part: the run, the erasures it names after it, with proofs. */
  async exportPart(from: number, to: number): Promise<string[]> {
    const events = this.chainEvents()
    const run = events.slice(from - 1, to)
    const named = new Set(run.flatMap(({ tombstones }) => tombstones.map(({ erasure }) => erasure)))
    const after = [...named].filter((sequence) => sequence > to).sort((a, b) => a - b)
    const lines: string[] = []
    for (const event of [...run, ...after.map((sequence) => events[sequence - 1]!)]) {
      const proof = (await inclusionProof(event.sequence - 1, this.size, nodesOf(this.leaves()))).map(fromBytes)
      const tombstones = event.tombstones.map((claim) => this.#proven(event.sequence, claim))
      lines.push(writeExportLine({ ...event, tombstones, proof }))
    }
    return [...lines, writeCheckpointLine(this.checkpoint(), this.publicKeys())]
  }

  #proven(sequence: number, claim: ClaimedTombstone): ClaimedTombstone {
    const all = this.events.flatMap(({ event, tombstones }) =>
      tombstones
        .filter(({ erasure }) => erasure === claim.erasure)
        .map(({ digest }) => this.#tombstone(event.sequence, digest)),
    )
    const { index, hashes } = new TombstoneSet(all).inclusionProof(this.#tombstone(sequence, claim.digest))!
    return { ...claim, index, proof: hashes.map(fromBytes) }
  }

  #tombstone(sequence: number, digest: string): Buffer {
    return tombstone({ workspaceId: this.workspaceId, sequence, digest: toBytes(digest) })
  }
}
