import { DomainError, type InputFault } from '../kernel/domain-error.js'

/** How many faults one answer names. */
export const FAULTS_MAX = 100
const FIELD_CHARACTERS_MAX = 200

/** Collects what is wrong with an input, in the order in which it is found, up to {@link FAULTS_MAX}. */
export class FaultList {
  readonly #faults: InputFault[] = []

  get isFull(): boolean {
    return this.#faults.length >= FAULTS_MAX
  }

  get length(): number {
    return this.#faults.length
  }

  /**
   * `field` may repeat member names of the caller's: it is made printable and kept short. What was found of a field first
   * is what counts: the text and the value of one number say the same of it.
   */
  add(field: string, message: string): void {
    if (this.isFull) return
    let printable = field.toWellFormed().replaceAll('\0', '\\0')
    if (printable.length > FIELD_CHARACTERS_MAX)
      printable = `${printable.slice(0, FIELD_CHARACTERS_MAX).toWellFormed()}…`
    if (!this.#faults.some((fault) => fault.field === printable)) this.#faults.push({ field: printable, message })
  }

  /** Throws `BAD_USER_INPUT` with the first fault's field and all faults found, or returns where there is none. */
  throwIfAny(): void {
    const first = this.#faults[0]
    if (first === undefined) return
    throw new DomainError('BAD_USER_INPUT', `${first.field}: ${first.message}`, {
      details: { field: first.field, faults: this.#faults },
    })
  }
}
