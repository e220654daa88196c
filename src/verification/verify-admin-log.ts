import type { Viewer } from '../auth/viewer.js'
import { type AdminChainDeps, readableAdminChain } from '../checkpoints/get-admin-checkpoint.js'
import { signAdminChain } from '../checkpoints/sign-admin-chains.js'
import type { SignedCheckpoint } from '../checkpoints/signed-checkpoint.js'
import { orControlUnavailable } from '../directory/with-control.js'
import { type ChainBreak, ChainVerifier } from '../ledger/index.js'
import { type AdminChainEnd, readAdminChainEnd, readAdminChainEvents } from './stored-admin-log.store.js'

const ENTRIES_PER_PAGE = 250
const TIMEOUT_MS = 15_000

/** What verifying a chain of the admin log came to. */
export interface AdminLogVerification {
  readonly firstBreak: ChainBreak | null
  /** Entries that verify, up to the first break. */
  readonly checkedEvents: number
  /** Entries after the checkpoint: they hang together, and nothing signed says so yet. */
  readonly unsignedEvents: number
  /** Hex; null where there was no entry. */
  readonly headHash: string | null
  /** What the entries were held against; null where nothing was signed. */
  readonly checkpoint: SignedCheckpoint | null
}

/**
 * Recomputes a chain of the admin log from what is stored: bodies, values, columns, links, the head, and the newest
 * signed checkpoint. Throws as `readableAdminChain`, and the reason of the signal.
 */
export async function verifyAdminLog(
  deps: AdminChainDeps,
  viewer: Viewer,
  companyId: string | null,
  signal: AbortSignal,
): Promise<AdminLogVerification> {
  const chainId = await readableAdminChain(deps, viewer, 'adminLogVerification', companyId)
  return orControlUnavailable(async () => {
    // Signed first: what is verified then lies hardly behind the end. It signs nothing that contradicts what it signed.
    const checkpoint = await signAdminChain(deps, chainId)
    const keys = await deps.keys.of('CONTROL')
    const verifier = new ChainVerifier({
      extent: 'whole',
      workspaceId: chainId,
      logName: deps.keys.logName,
      keys: keys.trusted,
    })
    const end = await readEnd(deps, chainId)
    await verifyEntries(deps, chainId, end.sequence, verifier, signal)
    if (!verifier.isBroken) checkEnd(verifier, end)
    const verdict = verifier.finish(checkpoint?.note ?? null)
    const { firstBreak, checkedEvents, unsignedEvents, headHash } = verdict
    return { firstBreak, checkedEvents, unsignedEvents, headHash, checkpoint }
  })
}

const noChain: AdminChainEnd = { sequence: 0, hash: Buffer.alloc(32), frontier: Buffer.alloc(0), lastSequence: 0 }

const readEnd = async ({ control }: AdminChainDeps, chainId: string): Promise<AdminChainEnd> =>
  (await control.transaction({ readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) => readAdminChainEnd(tx, chainId))) ??
  noChain

async function verifyEntries(
  { control }: AdminChainDeps,
  chainId: string,
  upTo: number,
  verifier: ChainVerifier,
  signal: AbortSignal,
): Promise<void> {
  for (let after = 0; after < upTo;) {
    signal.throwIfAborted()
    const range = { after, upTo, limit: ENTRIES_PER_PAGE }
    const page = await control.transaction({ readOnly: true, timeoutMs: TIMEOUT_MS }, (tx) =>
      readAdminChainEvents(tx, chainId, range),
    )
    for (const { event } of page) if (!verifier.add(event)) return
    if (page.length === 0) return
    after = page.at(-1)!.event.sequence
  }
}

/** The head must be the one of the last entry, and there must be no entry after it. */
function checkEnd(verifier: ChainVerifier, end: AdminChainEnd): void {
  const { sequence, hash, frontier } = verifier.state()
  const fail = (at: number, detail: string): boolean =>
    verifier.fail('HEAD_MISMATCH', detail, { sequence: at, eventId: null })
  if (sequence < end.sequence) fail(sequence + 1, `there are ${sequence} entries, and the head says ${end.sequence}`)
  else if (end.lastSequence > end.sequence) fail(end.sequence + 1, 'there is an entry that the head does not count')
  else if (!end.hash.equals(hash) || !end.frontier.equals(frontier))
    fail(sequence, 'the head is not the one of the last entry')
}
