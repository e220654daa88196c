import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { open, type FileHandle } from 'node:fs/promises'
import type { Region } from '../../src/kernel/region.js'

/** One request of a client and what came of it: a line of the file from which everything else is computed. */
export interface Attempt {
  readonly client: number
  /** Index of the API process. */
  readonly api: number
  readonly region: Region
  /** Index of the workspace. */
  readonly workspace: number
  /** The first of its events by number, in the client's stream of that workspace; and how many. */
  readonly first: number
  readonly count: number
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number
  readonly endMs: number
  /** OK, a code of the API, or how the transport failed. */
  readonly outcome: string
  /** Of acknowledged events, in order: API id, `RECORDED` or `QUEUED`, and the place in the chain where it is known. */
  readonly receipts?: readonly Receipt[]
}

export interface Receipt {
  readonly id: string
  readonly status: 'RECORDED' | 'QUEUED'
  readonly sequence: number | null
}

/** The name that an event has everywhere: its idempotency key and its action. */
export const eventName = (client: number, workspace: number, number: number): string =>
  `faults.c${client}.w${workspace}.${number}`

/** The reverse of {@link eventName}; null where an event is not one of a client's. */
export function parseEventName(
  name: string,
): { readonly client: number; readonly workspace: number; readonly number: number } | null {
  const found = /^faults[.]c(\d+)[.]w(\d+)[.](\d+)$/.exec(name)
  return found === null ? null : { client: Number(found[1]), workspace: Number(found[2]), number: Number(found[3]) }
}

/** Appends attempts to a file of the clients' own: what they were told must not depend on what is tested. */
export class AttemptLog {
  readonly #file: FileHandle
  #pending: string[] = []
  #writing: Promise<void> = Promise.resolve()

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async create(path: string): Promise<AttemptLog> {
    return new AttemptLog(await open(path, 'a'))
  }

  add(attempt: Attempt): void {
    this.#pending.push(`${JSON.stringify(attempt)}\n`)
    if (this.#pending.length === 1) this.#writing = this.#writing.then(() => this.#flush())
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    const lines = this.#pending
    this.#pending = []
    await this.#file.appendFile(lines.join(''))
  }
}

/** The attempts of a file, in the order in which they ended. */
export async function* readAttempts(path: string): AsyncGenerator<Attempt> {
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) yield JSON.parse(line) as Attempt
}
