import type { Database } from '../../src/db/database.js'
import type { WorkspaceFacts } from '../../src/directory/facts.js'
import { blobKeyId, open } from '../../src/sealing/sealed-blob.js'
import type { SubjectKeys } from '../../src/sealing/subject-keys.js'
import { bodyHash, CompactRange, disclosureDigest, fieldsOf, linkHash, ZERO_HASH } from '../../src/ledger/index.js'

const timeoutMs = 10_000

export interface StoredEvent {
  readonly id: string
  readonly sequence: number
  readonly term: number
  readonly body: Buffer
  readonly prev_hash: Buffer
  readonly hash: Buffer
  readonly project_id: string | null
  readonly occurred_at: Date
  readonly received_at: Date
  readonly action: string
  readonly category: string
  readonly target_type: string | null
  readonly identity_blob: Buffer | null
  readonly content_blob: Buffer | null
}

/** The stored events of a workspace, in the order of their sequences. */
export function storedEvents(database: Database, workspace: WorkspaceFacts): Promise<StoredEvent[]> {
  return database.transaction({ companies: [workspace.companyId], readOnly: true, timeoutMs }, async (tx) => {
    const rows = await tx.query<Omit<StoredEvent, 'sequence'> & { readonly sequence: string }>(
      'select * from event where workspace_id = $1 order by sequence',
      [workspace.id],
    )
    return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }))
  })
}

/**
 * Recomputes a workspace's whole chain from its bodies and compares hashes, links, head, frontier and stored tree
 * nodes. Answers the events; throws at the first thing that doesn't fit.
 */
export async function verifiedChain(database: Database, workspace: WorkspaceFacts): Promise<StoredEvent[]> {
  const events = await storedEvents(database, workspace)
  const range = CompactRange.empty()
  const nodes = new Map<string, string>()
  let prevHash: Buffer = ZERO_HASH
  for (const [index, event] of events.entries()) {
    const sequence = index + 1
    must(event.sequence === sequence, `sequence ${sequence} is ${event.sequence}`)
    must(event.prev_hash.equals(prevHash), `the link before ${sequence}`)
    const hash = linkHash({
      term: event.term,
      workspaceId: workspace.id,
      sequence,
      prevHash,
      bodyHash: bodyHash(event.body),
    })
    must(event.hash.equals(hash), `the hash of ${sequence}`)
    for (const node of range.append(hash)) nodes.set(`${node.level}/${node.index}`, node.hash.toString('hex'))
    prevHash = hash
  }
  const stored = await database.transaction(
    { companies: [workspace.companyId], readOnly: true, timeoutMs },
    async (tx) => ({
      heads: await tx.query<{ sequence: string; hash: Buffer; frontier: Buffer }>(
        'select sequence, hash, frontier from chain_head where workspace_id = $1',
        [workspace.id],
      ),
      nodes: await tx.query<{ level: number; index: string; hash: Buffer }>(
        'select level, index, hash from merkle_node where workspace_id = $1',
        [workspace.id],
      ),
    }),
  )
  const [head] = stored.heads
  if (events.length > 0 || head !== undefined) {
    must(Number(head?.sequence) === events.length, 'the sequence of the head')
    must(head?.hash.equals(prevHash) ?? false, 'the hash of the head')
    must(head?.frontier.equals(range.toBytes()) ?? false, 'the frontier of the head')
  }
  must(stored.nodes.length === nodes.size, 'the number of tree nodes')
  for (const node of stored.nodes)
    must(
      nodes.get(`${node.level}/${node.index}`) === node.hash.toString('hex'),
      `tree node ${node.level}/${node.index}`,
    )
  return events
}

/** Opens an event's blobs; every disclosure must be a digest of the body, and every digest be disclosed. */
export async function openedFields(
  database: Database,
  keys: SubjectKeys,
  workspace: WorkspaceFacts,
  event: StoredEvent,
): Promise<ReturnType<typeof fieldsOf>> {
  const blobs = (['identity', 'content'] as const).flatMap((blob) => {
    const sealed = event[`${blob}_blob`]
    return sealed === null ? [] : [{ blob, sealed, keyId: blobKeyId(sealed) }]
  })
  const loaded = await database.transaction({ companies: [workspace.companyId], timeoutMs }, (tx) =>
    keys.load(
      tx,
      workspace.dataRegion,
      blobs.map(({ keyId }) => keyId),
    ),
  )
  const disclosures = blobs.flatMap(({ blob, sealed, keyId }) =>
    open(loaded.get(keyId)!, { workspaceId: workspace.id, eventId: event.id, blob }, sealed),
  )
  const digests = disclosures.map((disclosure) => disclosureDigest(disclosure).toString('base64')).sort()
  const { digests: committed } = JSON.parse(event.body.toString()) as { digests: string[] }
  must(JSON.stringify([...committed].sort()) === JSON.stringify(digests), 'the digests of the body')
  return fieldsOf(disclosures)
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`does not verify: ${what}`)
}
