import type { SharedCache } from '../cache/shared-cache.js'
import { DatabaseError } from '../db/database-error.js'
import type { Database } from '../db/database.js'
import type { Clock } from '../kernel/clock.js'
import { FACT_AGE_MS_MAX, type Found } from './fact-cache.js'
import type { CompanyFacts, ProjectFacts, WorkspaceFacts } from './facts.js'
import { readControlPosition } from './facts.store.js'

/** What processes tell each other. API keys, sessions and the keys of tags are not among it: they are control's to say. */
interface Kinds {
  readonly company: CompanyFacts
  readonly workspace: WorkspaceFacts
  readonly workspaces: readonly WorkspaceFacts[]
  readonly project: ProjectFacts
}

/** A fact as it is in Redis. */
interface Stored<V> extends Found<V> {
  readonly atMs: number
  /** Every transaction of the control database before this one was over when the fact was read. */
  readonly seenTo: string
}

const COMPANIES_CHANGED_MAX = 10_000
const everyone = 'everyone'

/**
 * Facts that another process has read from the control database. One is believed only where it was read after every
 * change that this process has heard of: a fact tells up to which transaction its reader saw, and whoever hears of a
 * change, or begins to listen, asks the control database how far it has come and from then on believes nothing that has
 * not seen so much. What Redis kept longer than it should, or was given again by somebody, is thus found out.
 */
export class SharedFacts {
  readonly #shared: SharedCache
  readonly #control: Database
  readonly #clock: Clock
  /** What facts must have seen, all of them and those of a company. */
  #seenLeast = 0n
  readonly #seenLeastOf = new Map<string, bigint>()
  /** Companies whose change was heard of and not placed yet, each with the number of the last such change. */
  readonly #unplaced = new Map<string, number>()
  #changes = 0
  #isListening = false
  #isPlacing = false

  constructor(options: { readonly shared: SharedCache; readonly control: Database; readonly clock: Clock }) {
    this.#shared = options.shared
    this.#control = options.control
    this.#clock = options.clock
  }

  /** Changes may be going by unheard: nothing is believed until `reset`. */
  lost(): void {
    this.#isListening = false
  }

  /** From now on changes are heard of; those before may have been missed. */
  reset(): void {
    this.#isListening = true
    this.#heard(everyone)
  }

  changed(companyId: string): void {
    if (this.#seenLeastOf.size >= COMPANIES_CHANGED_MAX) this.#heard(everyone)
    this.#heard(companyId)
  }

  /** The fact where one is in Redis that may be believed, and when it was read; else null. */
  async find<K extends keyof Kinds>(kind: K, id: string): Promise<(Found<Kinds[K]> & { atMs: number }) | null> {
    // The control database may not have answered when it was asked.
    if (this.#unplaced.size > 0) this.#place()
    if (!this.#isListening || this.#unplaced.has(everyone)) return null
    const bytes = await this.#shared.read(groupOf(kind, id), kind)
    if (bytes === null) return null
    const { value, companyId, atMs, seenTo } = JSON.parse(bytes.toString('utf8'), revive) as Stored<Kinds[K]>
    const ageMs = this.#clock.now().getTime() - atMs
    if (ageMs < 0 || ageMs > FACT_AGE_MS_MAX) return null
    if (!this.#isListening || this.#unplaced.has(everyone) || this.#unplaced.has(companyId)) return null
    const least = this.#seenLeastOf.get(companyId) ?? 0n
    const seen = BigInt(seenTo)
    return seen < this.#seenLeast || seen < least ? null : { value, companyId, atMs }
  }

  /** Hands on what was just read from the control database. */
  keep<K extends keyof Kinds>(kind: K, id: string, fact: Stored<Kinds[K]>): void {
    const group = groupOf(kind, id)
    this.#shared.write(group, kind, Buffer.from(JSON.stringify(fact)), this.#shared.fence(group), () => undefined)
  }

  #heard(who: string): void {
    this.#unplaced.set(who, ++this.#changes)
    this.#place()
  }

  /** Finds out, in the background, what has to be seen now. */
  #place(): void {
    if (this.#isPlacing || !this.#isListening) return
    this.#isPlacing = true
    const placed = this.#placeAll().finally(() => {
      this.#isPlacing = false
    })
    // The control database is down: nobody is believed, and whoever looks for a fact tries again.
    placed.catch((error: unknown) => {
      if (!(error instanceof DatabaseError)) throw error
    })
  }

  async #placeAll(): Promise<void> {
    while (this.#unplaced.size > 0) {
      const heard = [...this.#unplaced]
      const position = await readControlPosition(this.#control)
      for (const [who, change] of heard) {
        if (who === everyone) {
          this.#seenLeast = position
          this.#seenLeastOf.clear()
        } else this.#seenLeastOf.set(who, position)
        // Another change was heard of since the question was put.
        if (this.#unplaced.get(who) === change) this.#unplaced.delete(who)
      }
    }
  }
}

/** Another number for each change of what facts are: processes of two versions run side by side. */
const FACTS_FORM = 1
const groupOf = (kind: keyof Kinds, id: string): string => `facts ${FACTS_FORM} ${kind} ${id}`

/** Facts as JSON has them, with their dates. */
const revive = (name: string, value: unknown): unknown =>
  name === 'createdAt' && typeof value === 'string' ? new Date(value) : value
