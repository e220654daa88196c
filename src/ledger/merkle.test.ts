import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nodesOf } from '../../test/ledger/chain-builder.js'
import {
  CompactRange,
  consistencyProof,
  frontierAt,
  fromBytes,
  inclusionProof,
  type NodeRange,
  TombstoneSet,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from './index.js'
import { provenRoot } from './proof-verification.js'
import { RecentRoots } from './recent-roots.js'

// RFC 6962 as it is written, recursion and all: what the other implementations are held against.
const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
const split = (size: number): number => 2 ** Math.ceil(Math.log2(size) - 1)
function naiveRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha()
  if (leaves.length === 1) return leaves[0]!
  const k = split(leaves.length)
  return sha(Buffer.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)))
}
function naivePath(m: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 1) return []
  const k = split(leaves.length)
  return m < k
    ? [...naivePath(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))]
}
function naiveSubproof(m: number, leaves: readonly Buffer[], isWhole: boolean): Buffer[] {
  if (m === leaves.length) return isWhole ? [] : [naiveRoot(leaves)]
  const k = split(leaves.length)
  return m <= k
    ? [...naiveSubproof(m, leaves.slice(0, k), isWhole), naiveRoot(leaves.slice(k))]
    : [...naiveSubproof(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))]
}

const leavesOf = (size: number): Buffer[] => Array.from({ length: size }, (_, i) => sha(Buffer.from(`leaf ${i}`)))
const all = leavesOf(1500)
const flipped = (hash: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(hash)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
const sizes = fc.integer({ min: 1, max: all.length })
const bits = fc.nat(255)

describe('compact range', () => {
  it('has the root of RFC 6962 at every size, and can be put away and taken up', () => {
    let range = CompactRange.empty()
    for (let size = 0; size <= 600; size++) {
      expect(range.root()).toEqual(naiveRoot(all.slice(0, size)))
      range = CompactRange.fromBytes(size, range.toBytes())
      range.append(all[size]!)
    }
  })

  it('hands out the nodes of levels 8, 16 … once each, when they are full', () => {
    const range = CompactRange.empty()
    const nodes = Array.from({ length: 66_000 }, (_, i) => range.append(all[i % all.length]!)).flat()
    expect(nodes.map(({ level, index }) => `${level}/${index}`)).toEqual([
      ...Array.from({ length: 256 }, (_, i) => `8/${i}`),
      '16/0',
      '8/256',
    ])
    expect(nodes[1]!.hash).toEqual(naiveRoot(all.slice(256, 512)))
  })

  it('goes on beyond 2^32 leaves', () => {
    const size = 2 ** 40 + 5
    const range = CompactRange.fromBytes(size, Buffer.concat(all.slice(0, 3)))
    range.append(all[3]!)
    expect(range.toBytes()).toEqual(Buffer.concat([all[0]!, all[1]!, sha(Buffer.of(1), all[2]!, all[3]!)]))
  })

  it('refuses a frontier that belongs to another size', () => {
    expect(() => CompactRange.fromBytes(3, Buffer.alloc(32))).toThrow(RangeError)
    expect(() => CompactRange.fromBytes(-1, Buffer.alloc(0))).toThrow(RangeError)
    expect(() => CompactRange.empty().append(Buffer.alloc(31))).toThrow(RangeError)
  })
})

describe('proofs', () => {
  const read = nodesOf(all)

  it('of inclusion are those of RFC 6962, from stored levels only, and verify; one flipped bit does not', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), bits, fc.nat(), async (treeSize, leaf, bit, which) => {
        const leafIndex = leaf % treeSize
        const hashes = await inclusionProof(leafIndex, treeSize, read)
        const leaves = all.slice(0, treeSize)
        expect(hashes).toEqual(naivePath(leafIndex, leaves))
        const proof = { leafIndex, treeSize, leafHash: all[leafIndex]!, rootHash: naiveRoot(leaves), hashes }
        expect(verifyInclusion(proof)).toBe(true)
        expect(verifyInclusion({ ...proof, leafHash: flipped(proof.leafHash, bit) })).toBe(false)
        expect(verifyInclusion({ ...proof, rootHash: flipped(proof.rootHash, bit) })).toBe(false)
        expect(verifyInclusion({ ...proof, hashes: [...hashes, all[0]!] })).toBe(false)
        expect(verifyInclusion({ ...proof, leafIndex: leafIndex + 1 })).toBe(false)
        if (hashes.length === 0) return
        const at = which % hashes.length
        expect(verifyInclusion({ ...proof, hashes: hashes.with(at, flipped(hashes[at]!, bit)) })).toBe(false)
        expect(verifyInclusion({ ...proof, hashes: hashes.slice(1) })).toBe(false)
      }),
      { numRuns: 150 },
    )
  })

  it('of inclusion lead to the root, and bound the size, without the size being known', () => {
    const leaves = all.slice(0, 70)
    const paths = leaves.map((_, m) => leaves.map((__, n) => (m <= n ? naivePath(m, leaves.slice(0, n + 1)) : null)))
    for (let treeSize = 1; treeSize <= 34; treeSize++) {
      const root = fromBytes(naiveRoot(all.slice(0, treeSize)))
      for (let leafIndex = 0; leafIndex < treeSize; leafIndex++) {
        const hashes = paths[leafIndex]![treeSize - 1]!
        const proven = provenRoot(leafIndex, fromBytes(all[leafIndex]!), hashes.map(fromBytes))!
        expect(proven.root).toBe(root)
        // Exactly the sizes for which a proof has as many hashes on the same sides.
        const fits = paths[leafIndex]!.flatMap((path, n) => (path?.length === hashes.length ? [n + 1] : []))
        expect([Math.max(proven.sizeMin, 1), Math.min(proven.sizeMax, 70)]).toEqual([fits[0], fits.at(-1)])
      }
    }
  })

  it('of consistency are those of RFC 6962 and verify; one flipped bit does not', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), bits, fc.nat(), async (toSize, first, bit, which) => {
        const fromSize = 1 + (first % toSize)
        const hashes = await consistencyProof(fromSize, toSize, read)
        const [fromRoot, toRoot] = [naiveRoot(all.slice(0, fromSize)), naiveRoot(all.slice(0, toSize))]
        expect(hashes).toEqual(naiveSubproof(fromSize, all.slice(0, toSize), true))
        const proof = { fromSize, toSize, fromRoot, toRoot, hashes }
        expect(verifyConsistency(proof)).toBe(true)
        expect(verifyConsistency({ ...proof, fromRoot: flipped(fromRoot, bit) })).toBe(false)
        expect(verifyConsistency({ ...proof, toRoot: flipped(toRoot, bit) })).toBe(false)
        expect(verifyConsistency({ ...proof, hashes: [...hashes, all[0]!] })).toBe(false)
        if (hashes.length === 0) return
        const at = which % hashes.length
        expect(verifyConsistency({ ...proof, hashes: hashes.with(at, flipped(hashes[at]!, bit)) })).toBe(false)
        expect(verifyConsistency({ ...proof, hashes: hashes.slice(0, -1) })).toBe(false)
      }),
      { numRuns: 150 },
    )
  })

  it('give roots and frontiers of any size that was reached', async () => {
    for (const size of [0, 1, 255, 256, 257, 511, 512, 1000, 1499]) {
      const range = CompactRange.empty()
      for (const leaf of all.slice(0, size)) range.append(leaf)
      expect(await treeRoot(size, read)).toEqual(range.root())
      expect(await frontierAt(size, read)).toEqual(range.toBytes())
    }
  })

  it('read O(log n) nodes with one call, also in a tree of 2^40 leaves', async () => {
    const calls: (readonly NodeRange[])[] = []
    const count = async (ranges: readonly NodeRange[]): Promise<Buffer[][]> => {
      calls.push(ranges)
      return ranges.map(({ from, to }) => Array.from({ length: to - from }, () => all[0]!))
    }
    const treeSize = 2 ** 40 + 2 ** 33 + 12_345
    const hashes = await inclusionProof(2 ** 39 + 77, treeSize, count)
    await consistencyProof(2 ** 39 + 77, treeSize, count)
    expect(hashes.length).toBe(41)
    expect(calls).toHaveLength(2)
    for (const ranges of calls) {
      const nodes = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
      expect(nodes).toBeLessThan(2 * 6 * 256)
      expect(ranges.every(({ level }) => level % 8 === 0)).toBe(true)
    }
  })

  it('refuse a leaf or a size the tree does not have, and nodes that are not there', async () => {
    await expect(inclusionProof(5, 5, read)).rejects.toThrow(RangeError)
    await expect(consistencyProof(6, 5, read)).rejects.toThrow(RangeError)
    await expect(inclusionProof(0, all.length + 1, read)).rejects.toThrow(/lacks nodes/)
  })
})

describe('recent roots', () => {
  it('know the root at sizes of a while ago, and say where it is too long ago', () => {
    const tree = new RecentRoots(CompactRange.empty())
    const range = CompactRange.empty()
    const roots: string[] = [fromBytes(range.root())]
    for (let i = 0; i < 40_000; i++) {
      const leaf = all[i % all.length]!
      tree.append(fromBytes(leaf))
      range.append(leaf)
      roots.push(fromBytes(range.root()))
    }
    for (const size of [40_000, 39_999, 33_000, 32_768, 32_767, 23_616, 16_384])
      expect(tree.rootAt(size)).toBe(roots[size])
    expect(tree.rootAt(16_383)).toBeNull()
    expect(tree.rootAt(40_001)).toBeNull()
  })
})

describe('tombstone set', () => {
  it('has one root whatever the order, and a proof for each', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(all.slice(0, 60), { minLength: 1 }), (tombstones) => {
        const set = new TombstoneSet(tombstones)
        const sorted = tombstones.toSorted((a, b) => a.compare(b))
        expect(set.root()).toEqual(naiveRoot(sorted))
        for (const leafHash of tombstones) {
          const { index, hashes } = set.inclusionProof(leafHash)!
          const proof = { leafIndex: index, treeSize: set.size, leafHash, rootHash: set.root(), hashes }
          expect(verifyInclusion(proof)).toBe(true)
        }
        expect(set.inclusionProof(all[100]!)).toBeNull()
      }),
    )
  })

  it('refuses a tombstone that comes twice', () => {
    expect(() => new TombstoneSet([all[0]!, all[0]!])).toThrow(/twice/)
  })
})
