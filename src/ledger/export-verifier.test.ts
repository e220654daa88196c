import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChainBuilder, LOG, nodesOf, signingKey, WORKSPACE } from '../../test/ledger/chain-builder.js'
import { disclosureCases, hashCases, sequenceCases } from '../../test/ledger/tampered-events.js'
import { checkpointCases, erasureCases } from '../../test/ledger/tampered-evidence.js'
import { makeWorld, tamper, type TamperCase, trustIn } from '../../test/ledger/tampering.js'
import { frontierAt, fromBytes } from './index.js'
import { ChainVerifier } from './chain-verifier.js'
import { ExportVerifier, type ExportVerifierOptions } from './export-verifier.js'
import type { Verdict } from './verdict.js'

const tamperCases = [...sequenceCases, ...hashCases, ...disclosureCases, ...erasureCases, ...checkpointCases]

function verify(lines: readonly string[], options: ExportVerifierOptions = {}): Verdict {
  const verifier = new ExportVerifier(options)
  for (const line of lines) if (!verifier.line(line)) break
  return verifier.finish()
}

const finds = (verdict: Verdict, { reason, sequence, outcome }: TamperCase): boolean =>
  !verdict.ok &&
  verdict.firstBreak?.reason === reason &&
  verdict.firstBreak.sequence === sequence &&
  (outcome === undefined || verdict.outcome === outcome)

describe('a whole export', () => {
  it('verifies, with its erasures counted', () => {
    const world = makeWorld()
    const verdict = verify(world.export(), trustIn(world))
    expect(verdict).toMatchObject({
      ok: true,
      outcome: 'OK_WITH_ERASURES',
      firstBreak: null,
      statement: 'whole up to 10, 2 with erasures',
      checkedEvents: 10,
      erasedEvents: 2,
      erasedDisclosures: 10,
      unsignedEvents: 0,
      fromSequence: 1,
      toSequence: 10,
      warnings: [],
    })
    expect(verdict.checkpoint).toMatchObject({ treeSize: 10, signedBy: `${LOG}/EU`, signerPinned: true })
    expect(verdict.headHash).toBe(world.leaves()[9]!.toString('hex'))
  })

  it.each(tamperCases)('finds $name ($reason at $sequence)', (tampering) => {
    const { lines, options } = tamper(tampering)
    const verdict = verify(lines, options)
    expect(finds(verdict, tampering), JSON.stringify(verdict.firstBreak)).toBe(true)
  })

  it('the table of tamperings would notice a verifier that says yes', () => {
    const yes = verify(makeWorld().export(), trustIn(makeWorld()))
    expect(tamperCases.length).toBeGreaterThanOrEqual(60)
    for (const tampering of tamperCases) expect(finds(yes, tampering)).toBe(false)
  })

  it('is broken by any one byte that is changed', () => {
    const world = makeWorld()
    const lines = world.export()
    // Public keys carried along are hints, which a verifier with keys of its own doesn't read.
    const end = lines[10]!.indexOf('"publicKeys"')
    const lengths = lines.map((line, i) => (i === 10 ? end : line.length))
    fc.assert(
      fc.property(fc.nat(10), fc.nat(), fc.integer({ min: 1, max: 0x7f }), (at, offset, flip) => {
        const place = offset % lengths[at]!
        const line = lines[at]!
        const changed =
          line.slice(0, place) + String.fromCharCode(line.charCodeAt(place) ^ flip) + line.slice(place + 1)
        expect(verify(lines.with(at, changed), trustIn(world)).ok).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('says that nobody known signed, where no keys are given', () => {
    const verdict = verify(makeWorld().export())
    expect(verdict.ok).toBe(true)
    expect(verdict.statement).toContain('signer not pinned')
    expect(verdict.checkpoint?.signerPinned).toBe(false)
    expect(verdict.warnings.map(({ code }) => code)).toEqual(['SIGNER_NOT_PINNED'])
  })

  it('never lets keys that the file carries stand in for those that are given', () => {
    const world = makeWorld()
    const options = trustIn(world)
    world.keys.set('EU', signingKey(77))
    expect(verify(world.export()).ok).toBe(true)
    expect(verify(world.export(), options).firstBreak?.reason).toBe('CHECKPOINT_MISMATCH')
  })

  it('warns of a value that is still there though its digest was erased', () => {
    const world = new ChainBuilder().addMany(3)
    const kept = world.events[1]!.disclosures
    world.erase([2])
    world.events[1]!.disclosures = kept.slice(0, 1)
    const verdict = verify(world.export(), trustIn(world))
    expect(verdict.ok).toBe(true)
    expect(verdict.warnings).toEqual([{ code: 'ERASURE_INCOMPLETE', count: 1, sequence: 2 }])
  })

  it('reports events after the checkpoint as not yet signed', () => {
    const world = makeWorld()
    const lines = [...world.export().slice(0, 10), JSON.stringify({ checkpoint: world.checkpoint(7), publicKeys: [] })]
    const verdict = verify(lines, trustIn(world))
    expect(verdict).toMatchObject({ ok: true, unsignedEvents: 3 })
    expect(verdict.statement).toBe('whole up to 7, 2 with erasures, 3 after that not yet signed')
  })

  it('agrees with a checkpoint kept from earlier', () => {
    const world = makeWorld()
    const earlier = [{ treeSize: 7, rootHash: fromBytes(world.rootAt(7)) }]
    expect(verify(world.export(), { ...trustIn(world), earlier }).ok).toBe(true)
  })

  it('follows the home region and its term, and only then another key', () => {
    const world = new ChainBuilder().addMany(3).moveHome('US').addMany(2)
    expect(verify(world.export(), trustIn(world))).toMatchObject({ ok: true, checkpoint: { signedBy: `${LOG}/US` } })
    const forged = world.export().with(6, JSON.stringify({ checkpoint: world.checkpoint(6, 'EU'), publicKeys: [] }))
    expect(verify(forged, trustIn(world)).firstBreak).toMatchObject({ reason: 'CHECKPOINT_MISMATCH', sequence: 6 })
  })

  it('follows a key to its successor, which the old one signed, and trusts the old one no more', () => {
    const world = new ChainBuilder().addMany(2)
    const options = trustIn(world)
    const old = world.keys.get('EU')!
    world.rotateKey('EU', signingKey(50)).addMany(1)
    expect(verify(world.export(), options)).toMatchObject({ ok: true, checkpoint: { signerPinned: true } })
    world.keys.set('EU', old)
    expect(verify(world.export(), options).firstBreak?.reason).toBe('CHECKPOINT_MISMATCH')
  })

  it('an empty log of which the checkpoint says so', () => {
    const world = new ChainBuilder()
    expect(verify(world.export(), trustIn(world))).toMatchObject({ ok: true, checkedEvents: 0, headHash: null })
  })
})

describe('an export of a part', () => {
  const partOf = async (from: number, to: number): Promise<{ lines: string[]; options: ExportVerifierOptions }> => {
    const world = makeWorld()
    return { lines: await world.exportPart(from, to), options: trustIn(world) }
  }

  it.each([
    [1, 10],
    [1, 4],
    [2, 3],
    [3, 8],
    [5, 5],
    [9, 10],
  ])('verifies from %i to %i', async (from, to) => {
    const { lines, options } = await partOf(from, to)
    const verdict = verify(lines, options)
    expect(verdict).toMatchObject({ ok: true, fromSequence: from, toSequence: to })
    expect(verdict.headHash).toBe(makeWorld().leaves()[to - 1]!.toString('hex'))
  })

  const change = (line: string, edit: (parsed: Record<string, unknown>) => void): string => {
    const parsed = JSON.parse(line) as Record<string, unknown>
    edit(parsed)
    return JSON.stringify(parsed)
  }
  const zero = '0'.repeat(64)

  it.each<[string, string, number, (lines: string[]) => string[]]>([
    ['a missing event', 'MISSING_EVENT', 3, (l) => l.toSpliced(1, 1)],
    [
      'a proof changed',
      'CHECKPOINT_MISMATCH',
      3,
      (l) =>
        l.with(
          1,
          change(l[1]!, (e) => void ((e['proof'] as string[])[0] = zero)),
        ),
    ],
    [
      'a proof too short',
      'CHECKPOINT_MISMATCH',
      4,
      (l) =>
        l.with(
          2,
          change(l[2]!, (e) => void (e['proof'] as string[]).pop()),
        ),
    ],
    [
      'no proof',
      'CHECKPOINT_MISMATCH',
      4,
      (l) =>
        l.with(
          2,
          change(l[2]!, (e) => void delete e['proof']),
        ),
    ],
    [
      'the first proof changed',
      'CHECKPOINT_MISMATCH',
      2,
      (l) =>
        l.with(
          0,
          change(l[0]!, (e) => void ((e['proof'] as string[])[1] = zero)),
        ),
    ],
    ['the erasure missing', 'MISSING_DISCLOSURE', 2, (l) => l.toSpliced(3, 1)],
    [
      'a tombstone without proof',
      'TOMBSTONE_MISMATCH',
      3,
      (l) =>
        l.with(
          1,
          change(l[1]!, (e) => {
            for (const t of e['tombstones'] as { proof?: [] }[]) delete t.proof
          }),
        ),
    ],
    [
      'a tombstone elsewhere',
      'TOMBSTONE_MISMATCH',
      8,
      (l) =>
        l.with(
          1,
          change(l[1]!, (e) => void ((e['tombstones'] as { index: number }[])[0]!.index ^= 1)),
        ),
    ],
    [
      'an event that follows the erasure',
      'MISSING_EVENT',
      5,
      (l) => l.toSpliced(4, 0, l[0]!.replace('"sequence":2', '"sequence":9')),
    ],
  ])('finds %s (%s at %i)', async (_, reason, sequence, edit) => {
    const { lines, options } = await partOf(2, 4)
    expect(verify(edit(lines), options).firstBreak).toMatchObject({ reason, sequence })
  })

  it('takes the key of any region of the log, but of the log only', async () => {
    const world = makeWorld()
    const lines = await world.exportPart(2, 4)
    const foreign = world.publicKeys().map((key) => ({ ...key, name: key.name.replace(LOG, 'evil.example') }))
    expect(verify(lines, { ...trustIn(world), keys: foreign }).firstBreak?.reason).toBe('CHECKPOINT_MISMATCH')
  })
})

describe('a chain read from rows', () => {
  const columns = (world: ChainBuilder, sequence: number) => {
    const { id, workspace, company, project, action, category, targetType, occurredAt, receivedAt } =
      world.events[sequence - 1]!.fields
    return { id, workspace, company, project, action, category, targetType, occurredAt, receivedAt }
  }

  it('finds a column that says something else than the body', () => {
    const world = makeWorld()
    for (const [member, value] of Object.entries({ ...columns(world, 1), project: WORKSPACE, targetType: 'x' })) {
      const verifier = new ChainVerifier({ extent: 'whole' })
      const [event] = world.chainEvents()
      const changed = { ...columns(world, 1), [member]: `${value}x` }
      expect(new ChainVerifier({ extent: 'whole' }).add({ ...event!, columns: columns(world, 1) })).toBe(true)
      expect(verifier.add({ ...event!, columns: changed })).toBe(false)
      expect(verifier.finish(null).firstBreak).toMatchObject({ reason: 'HASH_MISMATCH', sequence: 1 })
    }
  })

  it('can be stopped at any event and taken up again', async () => {
    const world = new ChainBuilder().addMany(3).moveHome('US').addMany(4)
    const events = world.chainEvents()
    for (let stop = 1; stop < events.length; stop++) {
      const before = new ChainVerifier({ extent: 'whole', ...trustIn(world) })
      for (const event of events.slice(0, stop)) expect(before.add(event)).toBe(true)
      expect(before.finish(null, { endsBeforeHead: true }).ok).toBe(true)
      const start = before.state()
      expect(Buffer.from(start.frontier)).toEqual(await frontierAt(stop, nodesOf(world.leaves())))
      const after = new ChainVerifier({ extent: 'whole', ...trustIn(world), start })
      for (const event of events.slice(stop)) expect(after.add(event)).toBe(true)
      expect(after.finish(world.checkpoint())).toMatchObject({ ok: true, checkpoint: { treeSize: 8 } })
    }
  })

  it('takes sets of tombstones as given, and names the erasures beyond the end', () => {
    const world = makeWorld()
    const erased = world.events.flatMap(({ event, tombstones }) =>
      tombstones.map(({ digest }) => ({ sequence: event.sequence, digest })),
    )
    const run = (to: number, set: typeof erased): ChainVerifier => {
      const verifier = new ChainVerifier({ extent: 'whole', erasureSets: 'given', ...trustIn(world) })
      for (const event of world.chainEvents().slice(0, to))
        if (!verifier.add({ ...event, ...(event.sequence === 8 ? { erased: set } : {}) })) break
      return verifier
    }
    expect(run(10, erased).finish(world.checkpoint()).outcome).toBe('OK_WITH_ERASURES')
    expect(run(10, erased.slice(1)).finish(null).firstBreak).toMatchObject({
      reason: 'TOMBSTONE_MISMATCH',
      sequence: 8,
    })
    expect(run(5, erased).openErasures()).toMatchObject([{ erasure: 8, namedBy: { sequence: 2 } }])
    expect(run(5, erased).finish(null, { endsBeforeHead: true }).ok).toBe(true)
  })

  it('finds a cut tail by a checkpoint kept elsewhere', () => {
    const world = makeWorld()
    const earlier = [{ treeSize: 10, rootHash: fromBytes(world.rootAt(10)) }]
    const verifier = new ChainVerifier({ extent: 'whole', earlier })
    for (const event of world.chainEvents().slice(0, 9)) verifier.add(event)
    expect(verifier.finish(null).firstBreak).toMatchObject({ reason: 'HEAD_MISMATCH', sequence: 10 })
  })

  it('says where ids are too many to be compared', () => {
    const world = makeWorld()
    const verifier = new ChainVerifier({ extent: 'whole', idsMax: 4 })
    for (const event of world.chainEvents()) verifier.add(event)
    expect(verifier.finish(null).warnings).toMatchObject([{ code: 'IDS_NOT_ALL_COMPARED', sequence: 4 }])
  })
})
