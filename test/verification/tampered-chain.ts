import { Client } from 'pg'
import type { JsonValue } from '../../src/kernel/canonical-json.js'
import {
  bodyHash,
  checkpointOrigin,
  CompactRange,
  type Disclosure,
  linkHash,
  type MerkleNode,
  type NoteSigner,
  signCheckpoint,
  ZERO_HASH,
} from '../../src/ledger/index.js'
import { blobKeyId, type BlobName, open, seal } from '../../src/sealing/sealed-blob.js'
import type { World, WorldWorkspace } from '../harness/app.js'
import { logName } from '../harness/checkpoints.js'
import type { VerificationAnswer } from '../harness/verification.js'

/** A superuser of one database, for whom no trigger fires. */
export class Intruder {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async open(url: string, tables: readonly string[]): Promise<Intruder> {
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query('set session_replication_role = replica')
    for (const table of tables) await client.query(`alter table ${table} disable trigger all`)
    return new Intruder(client)
  }

  async sql<Found extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Found[]> {
    return (await this.#client.query(text, [...values])).rows as Found[]
  }

  close(): Promise<void> {
    return this.#client.end()
  }
}

export interface Row {
  sequence: number
  id: string
  term: number
  body: Buffer
  prev_hash: Buffer
  hash: Buffer
  identity_blob: Buffer | null
  content_blob: Buffer | null
}

/** A healthy chain and what an intruder needs to harm it. */
export class Victim {
  readonly world: World
  readonly workspace: WorldWorkspace
  /** Another healthy chain of the same company and region. */
  readonly other: WorldWorkspace
  /** The home region's database. */
  readonly home: Intruder
  /** The region that keeps copies of the home's checkpoints. */
  readonly abroad: Intruder
  readonly control: Intruder
  readonly rows: readonly Row[]
  readonly signer: NoteSigner

  constructor(
    options: Omit<
      Victim,
      'id' | 'size' | 'set' | 'relink' | 'note' | 'reseal' | 'writeHead' | 'forget' | 'putCheckpoint'
    >,
  ) {
    this.world = options.world
    this.workspace = options.workspace
    this.other = options.other
    this.home = options.home
    this.abroad = options.abroad
    this.control = options.control
    this.rows = options.rows
    this.signer = options.signer
  }

  get id(): string {
    return this.workspace.id
  }

  get size(): number {
    return this.rows.length
  }

  /** Sets a column of one event. */
  async set(sequence: number, assignment: string, values: readonly unknown[] = []): Promise<void> {
    await this.home.sql(`update event set ${assignment} where workspace_id = $1 and sequence = $2`, [
      this.id,
      sequence,
      ...values,
    ])
  }

  /** Rewrites bodies from a sequence on and links everything again, with head, frontier and, where asked, tree nodes. */
  async relink(
    from: number,
    change: (body: string, sequence: number) => string,
    { nodes = true }: { nodes?: boolean } = {},
  ): Promise<Buffer> {
    const range = CompactRange.empty()
    const stored: MerkleNode[] = []
    let before: Buffer = ZERO_HASH
    for (const row of this.rows) {
      const { sequence, term } = row
      let { hash } = row
      if (sequence >= from) {
        const body = Buffer.from(change(row.body.toString(), sequence))
        hash = linkHash({ term, workspaceId: this.id, sequence, prevHash: before, bodyHash: bodyHash(body) })
        await this.set(sequence, 'body = $3, prev_hash = $4, hash = $5', [body, before, hash])
      }
      stored.push(...range.append(hash))
      before = hash
    }
    await this.writeHead(this.size, before, range)
    if (nodes)
      for (const { level, index, hash } of stored)
        await this.home.sql('update merkle_node set hash = $4 where workspace_id = $1 and level = $2 and index = $3', [
          this.id,
          level,
          index,
          hash,
        ])
    return range.root()
  }

  async writeHead(sequence: number, hash: Buffer, range: CompactRange): Promise<void> {
    await this.home.sql('update chain_head set sequence = $2, hash = $3, frontier = $4 where workspace_id = $1', [
      this.id,
      sequence,
      hash,
      range.toBytes(),
    ])
  }

  /** A checkpoint of any tree, signed by the region's own key unless another is given. */
  note(
    treeSize: number,
    rootHash: Buffer,
    own: { signer?: NoteSigner; log?: string; workspaceId?: string } = {},
  ): string {
    const origin = checkpointOrigin(own.log ?? logName, own.workspaceId ?? this.id)
    return signCheckpoint({ origin, treeSize, rootHash }, [own.signer ?? this.signer])
  }

  /** Puts a checkpoint into one of the tables that keep them. */
  async putCheckpoint(
    table: 'checkpoint' | 'checkpoint_history' | 'foreign_checkpoint' | 'checkpoint_copy',
    treeSize: number,
    rootHash: Buffer,
    note: string,
  ): Promise<void> {
    const place = table === 'checkpoint_copy' ? this.control : table === 'foreign_checkpoint' ? this.abroad : this.home
    if (table === 'checkpoint_history')
      await place.sql(
        `insert into checkpoint_history select workspace_id, company_id, $2, $3, $4, signed_at from checkpoint
         where workspace_id = $1
         on conflict (workspace_id, tree_size) do update set root_hash = excluded.root_hash, note = excluded.note`,
        [this.id, treeSize, rootHash, note],
      )
    else
      await place.sql(`update ${table} set tree_size = $2, root_hash = $3, note = $4 where workspace_id = $1`, [
        this.id,
        treeSize,
        rootHash,
        note,
      ])
  }

  /** Removes what the home region has of checkpoints beyond a size. */
  async forget(beyond = 0): Promise<void> {
    for (const table of ['checkpoint', 'checkpoint_history'])
      await this.home.sql(`delete from ${table} where workspace_id = $1 and tree_size > $2`, [this.id, beyond])
  }

  /** Seals changed disclosures with the event's own key, as one who has all keys. */
  async reseal(sequence: number, blob: BlobName, change: (disclosures: Disclosure[]) => Disclosure[]): Promise<void> {
    const row = this.rows[sequence - 1]!
    const sealed = row[`${blob}_blob`]!
    const id = blobKeyId(sealed)
    const { dataRegion, companyId } = this.workspace
    const { database } = this.world.app.registry.get(dataRegion)
    const keys = await database.transaction({ companies: [companyId], timeoutMs: 5_000 }, (tx) =>
      this.world.app.subjectKeys.load(tx, dataRegion, [id]),
    )
    const key = keys.get(id)!
    const context = { workspaceId: this.id, eventId: row.id, blob }
    await this.set(sequence, `${blob}_blob = $3`, [seal({ id, key }, context, change(open(key, context, sealed)))])
  }
}

/** One way to harm a chain, and what the verifier has to say of it. */
export interface TamperCase {
  readonly name: string
  readonly reason: string
  readonly sequence: number
  /** Whose id is named: that of the event recorded at this place. `null`: none. Left out: that at `sequence`. */
  readonly event?: number | null
  /** 300 events instead of 12: with stored tree nodes. */
  readonly long?: boolean
  readonly tamper: (victim: Victim) => Promise<unknown>
  /** The chain that is verified: the victim unless it says so. */
  readonly verify?: 'other'
}

/** Whether an answer of the verifier finds, names and places what was done. */
export const isFound = (
  answer: VerificationAnswer,
  expected: { reason: string; sequence: number; eventId: string | null },
) =>
  !answer.ok &&
  answer.firstBreak !== null &&
  answer.firstBreak.reason === expected.reason &&
  answer.firstBreak.sequence === expected.sequence &&
  answer.firstBreak.eventId === expected.eventId

export const member =
  (name: string, value: JsonValue) =>
  (body: string): string =>
    JSON.stringify({ ...(JSON.parse(body) as object), [name]: value })
