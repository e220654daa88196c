import { LRUCache } from 'lru-cache'
import type { Clock } from '../kernel/clock.js'
import type { Region } from '../kernel/region.js'
import type { CheckpointAlarms } from './checkpoint-alarms.js'
import { readChainsToSign, storeCheckpoints } from './checkpoint.store.js'
import { type CopyPlace, type PlaceDeps, placesOf } from './copy-place.js'
import { type ChainOutcome, type KnownCheckpoint, signChain, type SigningTerms } from './sign-chain.js'
import { signerOf } from './signed-checkpoint.js'
import type { RegionKeys, SigningKeys } from './signing-keys.js'
import { treeNodeReader } from './tree-node.store.js'

const TRANSACTION_TIMEOUT_MS = 10_000
const REMEMBERED_MAX = 50_000
/** An unknown key is looked for at most so often. */
const REFRESH_EVERY_MS = 2_000

export interface ChainPlace {
  readonly workspaceId: string
  readonly companyId: string
}

export interface RegionSignerDeps extends PlaceDeps {
  readonly keys: SigningKeys
  readonly alarms: CheckpointAlarms
  readonly clock: Clock
}

/** Signs the chains of one region, remembering what it has seen signed: a region can't be set back under its eyes. */
export class RegionSigner {
  readonly #region: Region
  readonly #deps: RegionSignerDeps
  /** By workspace; size 0 where there was no copy when we looked. */
  readonly #known = new LRUCache<string, { readonly checkpoint: KnownCheckpoint | null }>({ max: REMEMBERED_MAX })
  #refreshedAtMs = Number.NEGATIVE_INFINITY

  constructor(region: Region, deps: RegionSignerDeps) {
    this.#region = region
    this.#deps = deps
  }

  /**
   * Signs and stores a checkpoint of each chain that has grown. A chain that contradicts what was signed of it raises an
   * alarm and stays unsigned. Throws where the region does not answer, or, before the first checkpoint of a chain by
   * this process, no place that could hold a copy of an earlier one does.
   */
  async sign(chains: readonly ChainPlace[]): Promise<readonly ChainOutcome[]> {
    const region = this.#region
    await this.#lookOutside(chains)
    let keys = await this.#deps.keys.of(region)
    let outcomes = await this.#signOnce(chains, keys)
    if (outcomes.some((outcome) => isKeyMissing(outcome, keys)) && this.#mayRefresh()) {
      // Another process has made a key since we looked.
      keys = await this.#deps.keys.refresh(region)
      outcomes = await this.#signOnce(chains, keys)
    }
    for (const { alarm, chain, known } of outcomes) {
      if (alarm !== null)
        this.#deps.alarms.raise({ ...alarm, region, workspaceId: chain.workspaceId, treeSize: chain.sequence })
      else if (known !== null) this.#known.set(chain.workspaceId, { checkpoint: { ...known, place: 'MEMORY' } })
    }
    return outcomes
  }

  #mayRefresh(): boolean {
    const nowMs = performance.now()
    if (nowMs - this.#refreshedAtMs < REFRESH_EVERY_MS) return false
    this.#refreshedAtMs = nowMs
    return true
  }

  async #signOnce(chains: readonly ChainPlace[], keys: RegionKeys): Promise<readonly ChainOutcome[]> {
    const { registry, clock } = this.#deps
    const companies = [...new Set(chains.map(({ companyId }) => companyId))]
    const terms: SigningTerms = { logName: this.#deps.keys.logName, keys, now: clock.now() }
    return registry.use(this.#region, ({ database }) =>
      database.transaction({ companies, timeoutMs: TRANSACTION_TIMEOUT_MS }, async (tx) => {
        const found = await readChainsToSign(
          tx,
          chains.map(({ workspaceId }) => workspaceId),
        )
        const outcomes = await Promise.all(
          found.map((chain) => {
            const known = this.#known.get(chain.workspaceId)?.checkpoint ?? null
            return signChain(chain, known, treeNodeReader(tx, chain.workspaceId), terms)
          }),
        )
        const signed = outcomes.flatMap((outcome) => outcome.signed ?? [])
        if (signed.length > 0) await storeCheckpoints(tx, signed)
        return outcomes
      }),
    )
  }

  /** Learns, of chains this process has not signed yet, what was signed of them according to the copies. */
  async #lookOutside(chains: readonly ChainPlace[]): Promise<void> {
    const ids = chains.map(({ workspaceId }) => workspaceId).filter((id) => !this.#known.has(id))
    if (ids.length === 0) return
    const places = placesOf(this.#deps, this.#region)
    const answers = await Promise.allSettled(places.map((place) => place.read(ids)))
    const failure = answers.find((answer) => answer.status === 'rejected')
    if (failure !== undefined && answers.every((answer) => answer.status === 'rejected')) throw failure.reason
    const keys = await this.#deps.keys.of(this.#region)
    const newest = new Map<string, KnownCheckpoint>()
    for (const [index, answer] of answers.entries())
      for (const copy of answer.status === 'fulfilled' ? answer.value : []) {
        const { workspaceId, treeSize, rootHash } = copy
        const signer = await this.#signerOf(copy, keys, places[index]!)
        const known = newest.get(workspaceId)
        if (signer !== null && (known === undefined || known.treeSize < treeSize))
          newest.set(workspaceId, { treeSize, rootHash, signer, place: places[index]!.name })
      }
    for (const id of ids) this.#known.set(id, { checkpoint: newest.get(id) ?? null })
  }

  async #signerOf(copy: Parameters<typeof signerOf>[0], keys: RegionKeys, place: CopyPlace): Promise<string | null> {
    const { logName } = this.#deps.keys
    const signer = signerOf(copy, logName, keys.trusted)
    if (signer !== null) return signer
    const refreshed = this.#mayRefresh()
      ? await this.#deps.keys.refresh(this.#region)
      : await this.#deps.keys.of(this.#region)
    const again = signerOf(copy, logName, refreshed.trusted)
    if (again === null)
      this.#deps.alarms.raise({
        kind: 'BAD_SIGNATURE',
        region: this.#region,
        workspaceId: copy.workspaceId,
        place: place.name,
        knownSize: copy.treeSize,
        treeSize: copy.treeSize,
      })
    return again
  }
}

/** The chain was signed, or is to be signed, by a key that this process does not know. */
const isKeyMissing = ({ alarm, signed, chain, known }: ChainOutcome, keys: RegionKeys): boolean =>
  alarm?.kind === 'BAD_SIGNATURE' ||
  (alarm === null &&
    signed === null &&
    keys.current !== null &&
    chain.checkpoint?.treeSize !== chain.sequence &&
    known !== null)
