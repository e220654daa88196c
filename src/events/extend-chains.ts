import { CompactRange, linkHash } from '../ledger/index.js'
import type { ChainExtension, ChainHead, LinkedEvent, MerkleNode } from './committer.store.js'
import type { SealedDraft } from './event-draft.js'

/**
 * Links drafts to the ends of their workspaces' chains, in their order, and extends the Merkle trees with them (ledger
 * format HL1, section 3). Pure; `heads` has every draft's workspace. Heads without a draft don't move and are left out.
 */
export function extendChains(heads: readonly ChainHead[], drafts: readonly SealedDraft[]): ChainExtension {
  const events: LinkedEvent[] = []
  const nodes: MerkleNode[] = []
  const moved: (ChainHead & { from: number })[] = []
  const byWorkspace = Map.groupBy(drafts, (draft) => draft.workspaceId)
  for (const head of heads) {
    const own = byWorkspace.get(head.workspaceId)
    if (own === undefined) continue
    byWorkspace.delete(head.workspaceId)
    const { workspaceId, companyId, term } = head
    const range = CompactRange.fromBytes(head.sequence, head.frontier)
    let { sequence, hash } = head
    for (const draft of own) {
      const prevHash = hash
      sequence++
      hash = linkHash({ term, workspaceId, sequence, prevHash, bodyHash: draft.bodyHash })
      for (const node of range.append(hash)) nodes.push({ workspaceId, companyId, ...node })
      events.push({ draft, term, sequence, prevHash, hash })
    }
    moved.push({ workspaceId, companyId, term, sequence, hash, frontier: range.toBytes(), from: head.sequence })
  }
  if (byWorkspace.size > 0) throw new Error('a draft of a workspace whose head is not held')
  return { events, nodes, heads: moved }
}
