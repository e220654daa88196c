import { type ExportVerifierOptions, fromBytes, parseCheckpoint } from '../../src/ledger/index.js'
import { type ChainBuilder, OTHER_WORKSPACE, signingKey } from './chain-builder.js'
import { first, type Line, makeWorld, member, rewritten, type TamperCase } from './tampering.js'

const checkpointOf = (lines: Line[]): Line => lines[lines.length - 1]!
const resigned =
  (make: (world: ChainBuilder) => string) =>
  (lines: Line[]): void => {
    checkpointOf(lines).checkpoint = make(makeWorld())
  }
/** An earlier checkpoint of a history in which event `sequence` was another. */
const otherHistory = (sequence: number, size: number) => (): ExportVerifierOptions => {
  const twin = makeWorld()
  rewritten(sequence, member('action', 'user.logout'))(twin)
  return { earlier: [{ treeSize: size, rootHash: fromBytes(twin.rootAt(size)) }] }
}

/** Takes the values of event 5 away and says that `erasure` did it. */
const passOff =
  (erasure: number) =>
  (lines: Line[]): void => {
    lines[4]!.disclosures = []
    const { digests: own } = JSON.parse(lines[4]!.body) as { digests: string[] }
    lines[4]!.tombstones = own.map((digest) => ({ digest: Buffer.from(digest, 'base64').toString('hex'), erasure }))
  }
/** Tampering with what was erased. */
export const erasureCases: readonly TamperCase[] = [
  { name: 'a deletion passed off as part of an erasure', reason: 'TOMBSTONE_MISMATCH', sequence: 8, lines: passOff(8) },
  {
    name: 'a deletion passed off with an ordinary event',
    reason: 'MISSING_DISCLOSURE',
    sequence: 5,
    lines: passOff(9),
  },
  {
    name: 'a deletion passed off with an erasure that never was',
    reason: 'MISSING_DISCLOSURE',
    sequence: 5,
    lines: passOff(999),
  },
  { name: 'a deletion passed off with an earlier event', reason: 'TOMBSTONE_MISMATCH', sequence: 5, lines: passOff(5) },
  { name: 'a tombstone deleted', reason: 'MISSING_DISCLOSURE', sequence: 2, lines: (l) => void l[1]!.tombstones.pop() },
  {
    name: 'a tombstone twice',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 2,
    lines: (l) => void l[1]!.tombstones.push(first(l[1]!.tombstones)),
  },
  {
    name: 'a tombstone of another digest',
    reason: 'MISSING_DISCLOSURE',
    sequence: 2,
    lines: (l) => void (first(l[1]!.tombstones).digest = '0'.repeat(64)),
  },
  {
    name: 'a tombstone too many',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 5,
    lines: (l) => void l[4]!.tombstones.push({ digest: '0'.repeat(64), erasure: 8 }),
  },
  {
    name: 'a tombstone that is none',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 2,
    lines: (l) => void (first(l[1]!.tombstones).erasure = 1.5),
  },
  {
    name: 'a tombstone for a value still there',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 8,
    lines: (l) =>
      void l[4]!.tombstones.push({
        ...first(l[1]!.tombstones),
        digest: Buffer.from((JSON.parse(l[4]!.body) as { digests: string[] }).digests[0]!, 'base64').toString('hex'),
      }),
  },
  {
    name: 'an erasure of another number of disclosures',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 8,
    world: rewritten(8, (t) => t.replace('"disclosures":10', '"disclosures":11')),
  },
  {
    name: 'an erasure of another number of events',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 8,
    world: rewritten(8, (t) => t.replace('"events":2', '"events":1')),
  },
  {
    name: 'an erasure of another set',
    reason: 'TOMBSTONE_MISMATCH',
    sequence: 8,
    world: rewritten(8, (t) => t.replace(/"root":"[^"]*"/, `"root":"${Buffer.alloc(32).toString('base64')}"`)),
  },
]

/** Tampering with the end of the chain and with what is signed. */
export const checkpointCases: readonly TamperCase[] = [
  {
    name: 'the tail cut',
    reason: 'HEAD_MISMATCH',
    sequence: 10,
    outcome: 'INCOMPLETE',
    lines: (l) => void l.splice(9, 1),
  },
  {
    name: 'the checkpoint deleted',
    reason: 'HEAD_MISMATCH',
    sequence: 11,
    outcome: 'INCOMPLETE',
    lines: (l) => void l.pop(),
  },
  {
    name: 'the file cut within a line',
    reason: 'HEAD_MISMATCH',
    sequence: 10,
    outcome: 'INCOMPLETE',
    text: (l) => [...l.slice(0, 9), l[9]!.slice(0, 50)],
  },
  { name: 'a line after the checkpoint', reason: 'CHECKPOINT_MISMATCH', sequence: 11, text: (l) => [...l, l[0]!] },
  {
    name: 'an end of the chain written anew',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    outcome: 'INVALID',
    lines: () => {
      const forged = makeWorld()
      rewritten(9, member('action', 'user.logout'))(forged)
      return forged.export().map((line, i) => JSON.parse(i < 10 ? line : makeWorld().export()[10]!) as Line)
    },
  },
  {
    name: 'the whole chain written anew and signed with a key of its own',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    outcome: 'INVALID',
    world: (w) => {
      rewritten(1, member('action', 'user.logout'))(w)
      w.keys.set('EU', signingKey(99))
    },
  },
  {
    name: 'another root signed over',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: (l) => {
      const root = Buffer.from(parseCheckpoint(checkpointOf(l).checkpoint)!.rootHash, 'latin1').toString('base64')
      checkpointOf(l).checkpoint = checkpointOf(l).checkpoint.replace(root, Buffer.alloc(32).toString('base64'))
    },
  },
  {
    name: 'a bad signature',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: (l) => {
      checkpointOf(l).checkpoint = checkpointOf(l).checkpoint.replace(
        /(.)(.{8})\n$/,
        (_, char: string, rest: string) => `${char === 'A' ? 'B' : 'A'}${rest}\n`,
      )
    },
  },
  {
    name: 'a checkpoint of the wrong region',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: resigned((w) => w.checkpoint(10, 'US')),
  },
  {
    name: 'a checkpoint of another log',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: resigned((w) => w.checkpoint(10, 'EU', 'staging.example')),
  },
  {
    name: 'a checkpoint of another workspace',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: resigned(() => makeWorld({ workspaceId: OTHER_WORKSPACE }).checkpoint()),
  },
  {
    name: 'a checkpoint that is no note',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: (l) => void (checkpointOf(l).checkpoint = 'whole'),
  },
  {
    name: 'a checkpoint without a signature',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    lines: (l) => void (checkpointOf(l).checkpoint = checkpointOf(l).checkpoint.replace(/— .*\n/, '')),
  },
  {
    name: 'an older copy than one seen before',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    outcome: 'INCOMPLETE',
    options: (w) => ({ earlier: [{ treeSize: 12, rootHash: fromBytes(w.rootAt(1)) }] }),
  },
  {
    name: 'a history other than the one seen before',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 7,
    outcome: 'FORK',
    options: otherHistory(5, 7),
  },
  {
    name: 'two heads of one size',
    reason: 'CHECKPOINT_MISMATCH',
    sequence: 10,
    outcome: 'FORK',
    options: otherHistory(10, 10),
  },
]
