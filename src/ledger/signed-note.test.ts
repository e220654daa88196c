import { describe, expect, it } from 'vitest'
import { LOG, signingKey, WORKSPACE } from '../../test/ledger/chain-builder.js'
import {
  buildKeyRotation,
  checkpointOrigin,
  noteSigner,
  parseCheckpoint,
  parseNote,
  parseOrigin,
  publicKeyOf,
  seedOf,
  signCheckpoint,
  signNote,
  verifyKeyRotation,
  verifyNote,
} from './index.js'

const key = signingKey(1)
const signer = noteSigner(`${LOG}/EU`, key)
const witness = noteSigner('witness.example', signingKey(2))
const origin = checkpointOrigin(LOG, WORKSPACE)
const rootHash = Buffer.alloc(32, 7)

describe('a signed note', () => {
  it('is verified by the key that signed, whoever else has signed', () => {
    const note = parseNote(signNote('a\n\nb\n', [witness, signer]))!
    expect(note.text).toBe('a\n\nb\n')
    expect(verifyNote(note, [signer])?.name).toBe(signer.name)
    expect(verifyNote(note, [witness])?.name).toBe(witness.name)
    expect(verifyNote(note, [noteSigner(signer.name, signingKey(3))])).toBeNull()
    expect(verifyNote(note, [noteSigner('other.example', key)])).toBeNull()
    expect(verifyNote(note, [])).toBeNull()
  })

  it('is void where a trusted key seems to have signed and has not', () => {
    const good = signNote('text\n', [witness, signer])
    const bad = signNote('text!\n', [signer]).split('\n\n')[1]!
    const [head, lines] = good.split('\n\n')
    const note = parseNote(`${head}\n\n${lines!.split('\n')[0]}\n${bad}`)!
    expect(verifyNote(note, [witness])?.name).toBe(witness.name)
    expect(verifyNote(note, [witness, signer])).toBeNull()
  })

  it.each([
    ['no final newline', 'text\n\n— a QUFBQUFB'],
    ['no signature', 'text\n\n'],
    ['no empty line', 'text\n— a QUFBQUFB\n'],
    ['a hyphen for a dash', 'text\n\n- a QUFBQUFB\n'],
    ['a key name with a plus', 'text\n\n— a+b QUFBQUFB\n'],
    ['a signature that is no base64', 'text\n\n— a QUFBQUF\n'],
    ['base64 that is not the canonical one', 'text\n\n— a QUFBQUB=\n'],
    ['a signature without bytes after the key id', 'text\n\n— a QUFBQQ==\n'],
    ['a control character', 'te\u0007xt\n\n— a QUFBQUFB\n'],
    ['no text', '\n\n— a QUFBQUFB\n'],
    ['too many signatures', `text\n\n${'— a QUFBQUFB\n'.repeat(65)}`],
    ['endless text', `${'x'.repeat(70_000)}\n\n— a QUFBQUFB\n`],
  ])('is none with %s', (_, text) => {
    expect(parseNote('text\n\n— a QUFBQUFB\n')).not.toBeNull()
    expect(parseNote(text)).toBeNull()
  })
})

describe('a checkpoint', () => {
  const note = signCheckpoint({ origin, treeSize: 12, rootHash }, [signer])

  it('can be read again', () => {
    expect(parseCheckpoint(note)).toMatchObject({ origin, treeSize: 12, rootHash: '\x07'.repeat(32) })
    expect(parseOrigin(origin)).toEqual({ logName: LOG, workspaceId: WORKSPACE })
  })

  it.each([
    ['an extension line', (t: string) => t.replace('\n\n', '\nextension\n\n')],
    ['a size with a zero in front', (t: string) => t.replace('\n12\n', '\n012\n')],
    ['a size that is no integer', (t: string) => t.replace('\n12\n', '\n1e3\n')],
    ['a size beyond 2^53', (t: string) => t.replace('\n12\n', '\n9007199254740993\n')],
    ['a root of 31 bytes', (t: string) => t.replace(/\n.{43}=\n/, `\n${Buffer.alloc(31).toString('base64')}\n`)],
    ['two lines', (t: string) => t.replace('\n12\n', '\n')],
  ])('is none with %s', (_, change) => {
    expect(change(note)).not.toBe(note)
    expect(parseCheckpoint(change(note))).toBeNull()
  })

  it('is not made for a log name that could be read in two ways, or another kind of root', () => {
    for (const name of ['', 'a b', 'a/b', 'a+b']) expect(() => checkpointOrigin(name, WORKSPACE)).toThrow(RangeError)
    expect(parseOrigin(`${LOG}/EU`)).toBeNull()
    expect(() => signCheckpoint({ origin, treeSize: -1, rootHash }, [signer])).toThrow(RangeError)
    expect(() => signCheckpoint({ origin, treeSize: 1, rootHash: Buffer.alloc(31) }, [signer])).toThrow(RangeError)
  })
})

describe('a change of keys', () => {
  const successor = noteSigner(signer.name, signingKey(9))
  const rotation = buildKeyRotation(signer.name, signer, successor)

  it('counts if both keys signed it', () => {
    expect(verifyKeyRotation(rotation)).toEqual({
      name: signer.name,
      old: Buffer.from(signer.publicKey).toString('latin1'),
      new: Buffer.from(successor.publicKey).toString('latin1'),
    })
    for (const member of Object.keys(rotation) as (keyof typeof rotation)[]) {
      const changed = { ...rotation, [member]: member === 'name' ? 'x' : rotation.oldSignature.replace(/^../, 'AA') }
      expect(verifyKeyRotation(changed)).toBeNull()
    }
  })

  it('keeps a signing key as its seed', () => {
    expect(seedOf(key)).toEqual(Buffer.alloc(32, 1))
    expect(publicKeyOf(key)).toEqual(Buffer.from(signer.publicKey))
  })
})
