import type { BreakReason, ExportVerifierOptions, Outcome } from '../../src/ledger/index.js'
import { ChainBuilder, LOG, WORKSPACE } from './chain-builder.js'

export interface Line {
  body: string
  sequence: number
  term: number
  prevHash: string | null
  hash: string
  disclosures: { path: string; value: unknown; salt: string }[]
  tombstones: { digest: string; erasure: number }[]
  checkpoint: string
  publicKeys: { name: string; ed25519: string }[]
}

export interface TamperCase {
  readonly name: string
  readonly reason: BreakReason
  readonly sequence: number
  readonly outcome?: Outcome
  /** Changes lines of the export, in place or by answering others. */
  readonly lines?: (lines: Line[]) => Line[] | void
  /** Changes the text of the lines, where parsing would hide it. */
  readonly text?: (lines: string[]) => string[]
  /** Changes the chain itself, as one who holds the database, before it is exported. */
  readonly world?: (world: ChainBuilder) => void
  readonly options?: (world: ChainBuilder) => ExportVerifierOptions
}

/** Events 1–6 ordinary, 7 without disclosures, 8 the erasure of 2 and 3, 9 and 10 ordinary. */
export const makeWorld = (options: { workspaceId?: string } = {}): ChainBuilder =>
  new ChainBuilder(options).addMany(6).add().erase([2, 3]).addMany(2)

/** What the verifier is given from outside. */
export const trustIn = (world: ChainBuilder): ExportVerifierOptions => ({
  logName: LOG,
  workspaceId: WORKSPACE,
  keys: world.publicKeys(),
})

/** The lines of a tampered export. */
export function tamper(tampering: TamperCase): { lines: string[]; options: ExportVerifierOptions } {
  const world = makeWorld()
  const options = { ...trustIn(world), ...tampering.options?.(world) }
  tampering.world?.(world)
  let lines = world.export()
  if (tampering.lines !== undefined) {
    const parsed = lines.map((line) => JSON.parse(line) as Line)
    lines = (tampering.lines(parsed) ?? parsed).map((line) => JSON.stringify(line))
  }
  return { lines: tampering.text?.(lines) ?? lines, options }
}

export const other = (hex: string): string => (hex[0] === '0' ? '1' : '0') + hex.slice(1)
export const changeBody = (lines: Line[], sequence: number, change: (text: string) => string): void => {
  lines[sequence - 1]!.body = change(lines[sequence - 1]!.body)
}
/** Changes a body and links everything again: only the rules on bodies can tell, for even the checkpoint is signed. */
export const rewritten =
  (sequence: number, change: (text: string) => string) =>
  (world: ChainBuilder): void => {
    const built = world.events[sequence - 1]!
    const text = change(built.event.body)
    if (text === built.event.body) throw new Error('the tampering changes nothing')
    built.event = { ...built.event, body: text }
    world.relinkFrom(sequence)
  }
export const member =
  (name: string, value: unknown) =>
  (text: string): string =>
    JSON.stringify({ ...(JSON.parse(text) as object), [name]: value })
export const digests =
  (change: (digests: string[]) => string[]) =>
  (text: string): string =>
    member('digests', change((JSON.parse(text) as { digests: string[] }).digests))(text)
export const idOf = (world: ChainBuilder, sequence: number): string => world.events[sequence - 1]!.fields.id
export const first = <T>(items: readonly T[]): T => items[0]!
