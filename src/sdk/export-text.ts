/** Longer than any line an export has; what is longer is not gathered. */
const LINE_BYTES_MAX = 8 * 1024 * 1024
const NEWLINE = 0x0a

const encoder = new TextEncoder()
// Strict, and a byte order mark is a character like others: what is not what was written must be noticed.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Cuts a stream of bytes or texts into lines at each LF. `onLine` gets each line without it, null for one that is not
 * UTF-8 or too long, and answers whether to go on.
 */
export class LineSplitter {
  readonly #onLine: (line: string | null) => boolean
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  /** The first half of a pair of surrogates, whose second half begins the next text. */
  #half = ''
  #goesOn = true
  #bytesRead = 0

  constructor(onLine: (line: string | null) => boolean) {
    this.#onLine = onLine
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  /** False where no more is wanted. */
  push(piece: string | Uint8Array): boolean {
    const bytes = typeof piece === 'string' ? this.#encode(piece) : piece
    this.#bytesRead += bytes.length
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1 && this.#goesOn; end = bytes.indexOf(NEWLINE, start)) {
      this.#take(bytes.subarray(start, end))
      start = end + 1
    }
    if (this.#goesOn && start < bytes.length) this.#keep(bytes.subarray(start))
    return this.#goesOn
  }

  /** What stands after the last LF is a line too. */
  end(): void {
    if (this.#half !== '') this.push(new Uint8Array([0xff]))
    if (this.#goesOn && this.#pendingBytes > 0) this.#take(new Uint8Array())
  }

  #encode(text: string): Uint8Array {
    const whole = this.#half + text
    const last = whole.charCodeAt(whole.length - 1)
    const isCut = last >= 0xd800 && last < 0xdc00
    this.#half = isCut ? whole.slice(-1) : ''
    return encoder.encode(isCut ? whole.slice(0, -1) : whole)
  }

  #keep(bytes: Uint8Array): void {
    // A copy: whoever reads into one buffer again and again may overwrite it.
    if (this.#pendingBytes <= LINE_BYTES_MAX) this.#pending.push(bytes.slice())
    this.#pendingBytes += bytes.length
  }

  #take(end: Uint8Array): void {
    const line = this.#pendingBytes + end.length > LINE_BYTES_MAX ? null : decode(this.#joined(end))
    this.#pending = []
    this.#pendingBytes = 0
    this.#goesOn = this.#onLine(line)
  }

  #joined(end: Uint8Array): Uint8Array {
    if (this.#pending.length === 0) return end
    const all = new Uint8Array(this.#pendingBytes + end.length)
    let at = 0
    for (const part of [...this.#pending, end]) {
      all.set(part, at)
      at += part.length
    }
    return all
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null
  }
}
