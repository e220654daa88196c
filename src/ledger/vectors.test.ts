import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type JsonObject, type JsonValue } from '../kernel/canonical-json.js'
import {
  bodyHash,
  buildBody,
  CompactRange,
  consistencyProof,
  type Disclosure,
  disclosureDigest,
  inclusionProof,
  keyId,
  linkHash,
  type NodeRange,
  noteSigner,
  parseCheckpoint,
  publicKeyOf,
  signCheckpoint,
  signingKeyFromSeed,
  toHex,
  tombstone,
  TombstoneSet,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
  verifyNote,
  ZERO_HASH,
} from './index.js'

interface DisclosureVector {
  salt: string
  path: string
  value: JsonValue
}
interface LinkVector {
  term: number
  workspace: string
  sequence: number
  prevHash: string
  bodyHash: string
  hash: string
}
interface EventVector {
  input: {
    id: string
    workspace: string
    company: string
    region: string
    action: string
    category: string
    occurredAt: string
    receivedAt: string
    targetType?: string
    project?: string
    system?: JsonObject
    disclosures: DisclosureVector[]
  }
  digests: { path: string; digest: string }[]
  body: string
  bodyHash: string
  sequence: number
  prevHash: string | null
  hash: string
}
interface Vectors {
  digestCases: (DisclosureVector & { jcs: string; digest: string })[]
  linkCases: LinkVector[]
  events: EventVector[]
  tree: {
    roots: string[]
    inclusion: { leafIndex: number; treeSize: number; hashes: string[] }[]
    consistency: { from: number; to: number; hashes: string[] }[]
    emptyRoot: string
  }
  tombstones: { sequence: number; digest: string; tombstone: string }[]
  tombstoneRoot: string
  checkpoint: {
    ed25519SeedHex: string
    publicKeyHex: string
    keyName: string
    keyIdHex: string
    origin: string
    treeSize: number
    note: string
  }
}

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/ledger-vectors.json', import.meta.url), 'utf8'),
) as Vectors

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const disclosure = ({ salt, path, value }: DisclosureVector): Disclosure => ({ path, value, salt: hex(salt) })
const leaves = vectors.events.map(({ hash }) => hex(hash))
const readLeaves = async (ranges: readonly NodeRange[]) => ranges.map(({ from, to }) => leaves.slice(from, to))

describe('the published vectors', () => {
  it.each(vectors.digestCases)('digest of $path', (vector) => {
    expect(canonicalJson([vector.path, vector.value])).toBe(vector.jcs)
    expect(disclosureDigest(disclosure(vector)).toString('hex')).toBe(vector.digest)
  })

  it.each(vectors.linkCases)('hash of the link $sequence in term $term', (vector) => {
    const { term, workspace, sequence, prevHash, bodyHash: body, hash } = vector
    const link = { term, workspaceId: workspace, sequence, prevHash: hex(prevHash), bodyHash: hex(body) }
    expect(linkHash(link).toString('hex')).toBe(hash)
  })

  it.each(vectors.events)('digests, body, body hash and hash of event $sequence', (vector) => {
    const { disclosures, system, project, targetType, ...input } = vector.input
    for (const [i, { digest }] of vector.digests.entries())
      expect(disclosureDigest(disclosure(disclosures[i]!)).toString('hex')).toBe(digest)
    const fields = { ...input, project: project ?? null, targetType: targetType ?? null }
    const built = buildBody(system === undefined ? fields : { ...fields, system }, disclosures.map(disclosure))
    expect(built.body.toString('utf8')).toBe(vector.body)
    expect(built.bodyHash.toString('hex')).toBe(vector.bodyHash)
    expect(bodyHash(built.body)).toEqual(built.bodyHash)
    const { sequence, prevHash } = vector
    const link = { term: 1, workspaceId: input.workspace, sequence, bodyHash: built.bodyHash }
    const prev = prevHash === null ? ZERO_HASH : hex(prevHash)
    expect(linkHash({ ...link, prevHash: prev }).toString('hex')).toBe(vector.hash)
  })

  it('roots of every size', async () => {
    const range = CompactRange.empty()
    expect(range.root().toString('hex')).toBe(vectors.tree.emptyRoot)
    for (const [i, root] of vectors.tree.roots.entries()) {
      expect(range.append(leaves[i]!)).toEqual([])
      expect(range.root().toString('hex')).toBe(root)
      expect((await treeRoot(i + 1, readLeaves)).toString('hex')).toBe(root)
    }
  })

  it.each(vectors.tree.inclusion)('inclusion of leaf $leafIndex', async ({ leafIndex, treeSize, hashes }) => {
    const proof = await inclusionProof(leafIndex, treeSize, readLeaves)
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(hashes)
    const rootHash = hex(vectors.tree.roots[treeSize - 1]!)
    expect(verifyInclusion({ leafIndex, treeSize, leafHash: leaves[leafIndex]!, rootHash, hashes: proof })).toBe(true)
  })

  it.each(vectors.tree.consistency)('consistency of $from and $to', async ({ from, to, hashes }) => {
    const proof = await consistencyProof(from, to, readLeaves)
    expect(proof.map((hash) => hash.toString('hex'))).toEqual(hashes)
    const [fromRoot, toRoot] = [hex(vectors.tree.roots[from - 1]!), hex(vectors.tree.roots[to - 1]!)]
    expect(verifyConsistency({ fromSize: from, toSize: to, fromRoot, toRoot, hashes: proof })).toBe(true)
  })

  it('tombstones and their root', () => {
    const workspaceId = vectors.events[0]!.input.workspace
    const tombstones = vectors.tombstones.map(({ sequence, digest, tombstone: expected }) => {
      const made = tombstone({ workspaceId, sequence, digest: hex(digest) })
      expect(made.toString('hex')).toBe(expected)
      return made
    })
    expect(new TombstoneSet(tombstones.toReversed()).root().toString('hex')).toBe(vectors.tombstoneRoot)
  })

  it('the signed checkpoint, byte for byte', () => {
    const { ed25519SeedHex, publicKeyHex, keyName, keyIdHex, origin, treeSize, note } = vectors.checkpoint
    const key = signingKeyFromSeed(hex(ed25519SeedHex))
    const publicKey = publicKeyOf(key)
    expect(publicKey.toString('hex')).toBe(publicKeyHex)
    expect(keyId({ name: keyName, publicKey }).toString('hex')).toBe(keyIdHex)
    const rootHash = hex(vectors.tree.roots[treeSize - 1]!)
    expect(signCheckpoint({ origin, treeSize, rootHash }, [noteSigner(keyName, key)])).toBe(note)
    const parsed = parseCheckpoint(note)!
    expect({ ...parsed, rootHash: toHex(parsed.rootHash) }).toMatchObject({
      origin,
      treeSize,
      rootHash: vectors.tree.roots[treeSize - 1],
    })
    expect(verifyNote(parsed.note, [{ name: keyName, publicKey }])?.name).toBe(keyName)
  })
})
