import { ChainVerifier, type ChainVerifierOptions } from './chain-verifier.js'
import { type ExportLine, readExportLine } from './export-line.js'
import type { Verdict } from './verdict.js'

export type ExportVerifierOptions = Pick<
  ChainVerifierOptions,
  'logName' | 'keys' | 'workspaceId' | 'earlier' | 'idsMax'
>

/**
 * Verifies an export line by line, with nothing but what it is told from outside. Whether the export is a whole chain
 * or a part shows in its first line: the events of a part carry proofs.
 */
export class ExportVerifier {
  readonly #options: ExportVerifierOptions
  #chain: ChainVerifier | null = null
  #end: Extract<ExportLine, { kind: 'checkpoint' }> | null = null
  #isTorn = false

  constructor(options: ExportVerifierOptions = {}) {
    this.#options = options
  }

  /** Takes the next line, without its newline. False where the verdict is known: the rest need not be read. */
  line(text: string): boolean {
    const chain = this.#chain
    if (chain?.isBroken === true) return false
    if (text === '') return true
    const at = { sequence: chain?.nextSequence ?? 1, eventId: null }
    if (this.#isTorn) return this.#open('whole').fail('HASH_MISMATCH', 'the line is not JSON', at)
    if (this.#end !== null) return this.#open('whole').fail('CHECKPOINT_MISMATCH', 'lines follow the checkpoint', at)
    const line = readExportLine(text)
    switch (line.kind) {
      case 'notJson':
        // Perhaps the file was cut here: the next line, or its absence, tells.
        this.#isTorn = true
        return true
      case 'fault':
        return this.#open('whole').fail(line.reason, line.detail, { ...at, sequence: line.sequence ?? at.sequence })
      case 'checkpoint':
        this.#end = line
        return true
      case 'event':
        return this.#open(line.event.proof === undefined ? 'whole' : 'part').add(line.event)
    }
  }

  /** The verdict, after the last line. An export that ends without a checkpoint is `INCOMPLETE`. */
  finish(): Verdict {
    const chain = this.#open('whole')
    if (this.#end === null)
      chain.fail('HEAD_MISMATCH', 'the export ends before its checkpoint', {
        sequence: chain.nextSequence,
        eventId: null,
      })
    return chain.finish(this.#end?.note ?? null, { carried: this.#end?.publicKeys ?? [] })
  }

  #open(extent: 'whole' | 'part'): ChainVerifier {
    return (this.#chain ??= new ChainVerifier({ ...this.#options, extent }))
  }
}
