import type { Transaction } from '../db/database.js'
import { canonicalJson } from '../kernel/canonical-json.js'
import type { Clock } from '../kernel/clock.js'
import { encodeId, newUuid } from '../kernel/ids.js'
import { randomBytes } from '../kernel/random.js'
import { buildBody, CompactRange, disclosuresOf, linkHash, SALT_BYTES, type Disclosure } from '../ledger/index.js'
import {
  type AdminChainHead,
  insertAdminEvent,
  lockAdminChains,
  moveAdminChain,
  type LinkedAdminEvent,
} from './admin-chain.store.js'
import { type AdminEntry, GLOBAL_CHAIN_ID } from './admin-entry.js'

/** What stands for a home region in bodies of the admin log (ledger format HL1, section 2). */
const REGION = 'CONTROL'

/**
 * Writes entries at the end of their chains, in their order, inside the caller's transaction: what was done and the
 * record of it are committed together or not at all. The heads stay locked until the transaction ends, so call it last.
 */
export async function appendAdminEntries(tx: Transaction, clock: Clock, entries: readonly AdminEntry[]): Promise<void> {
  if (entries.length === 0) return
  const byChain = Map.groupBy(entries, chainIdOf)
  for (const head of await lockAdminChains(tx, [...byChain.keys()])) {
    const own = byChain.get(head.chainId) ?? []
    const moved = await extend(tx, clock, head, own)
    await moveAdminChain(tx, moved)
  }
}

const chainIdOf = (entry: AdminEntry): string => entry.companyId ?? GLOBAL_CHAIN_ID

async function extend(
  tx: Transaction,
  clock: Clock,
  head: AdminChainHead,
  entries: readonly AdminEntry[],
): Promise<AdminChainHead> {
  const { chainId, term } = head
  const range = CompactRange.fromBytes(head.sequence, head.frontier)
  let { sequence, hash } = head
  for (const entry of entries) {
    const prevHash = hash
    sequence++
    const fixed = fixBody(entry, chainId, clock.now())
    hash = linkHash({ term, workspaceId: chainId, sequence, prevHash, bodyHash: fixed.bodyHash })
    range.append(hash)
    await insertAdminEvent(tx, { ...fixed.event, chainId, sequence, term, prevHash, hash })
  }
  return { chainId, term, sequence, hash, frontier: range.toBytes() }
}

function fixBody(
  entry: AdminEntry,
  chainId: string,
  now: Date,
): {
  event: Omit<LinkedAdminEvent, 'chainId' | 'sequence' | 'term' | 'prevHash' | 'hash'>
  bodyHash: Buffer
} {
  const id = newUuid(now.getTime())
  const disclosures = disclosuresOf(
    {
      actor: entry.actor.kind === 'user' ? { id: encodeId('user', entry.actor.userId) } : null,
      target: entry.target === null ? null : { id: entry.target.id },
      payload: entry.payload ?? null,
    },
    () => randomBytes(SALT_BYTES),
  )
  const targetType = entry.target?.type ?? null
  const at = now.toISOString()
  const { action, category } = entry
  const { body, bodyHash } = buildBody(
    {
      id,
      workspace: chainId,
      company: chainId,
      region: REGION,
      project: null,
      action,
      category,
      targetType,
      occurredAt: at,
      receivedAt: at,
    },
    disclosures,
  )
  const event = { id, body, occurredAt: now, action, category, targetType, disclosures: disclosuresJson(disclosures) }
  return { event, bodyHash }
}

/** As `admin_event.disclosures` holds them: JCS of [[path, value, salt as hex], …]. */
const disclosuresJson = (disclosures: readonly Disclosure[]): Buffer =>
  Buffer.from(
    canonicalJson(disclosures.map(({ path, value, salt }) => [path, value, Buffer.from(salt).toString('hex')])),
  )
