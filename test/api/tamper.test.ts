import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeId, encodeRegionalId } from '../../src/kernel/ids.js'
import { systemClock } from '../../src/kernel/clock.js'
import { createProject } from '../../src/workspaces/create-project.js'
import { createWorkspace } from '../../src/workspaces/create-workspace.js'
import { ExportVerifier, fromBytes, parseCheckpoint, type Verdict } from '../../src/ledger/index.js'
import { createWorld, type World, type WorldWorkspace } from '../harness/app.js'
import { checkpointAt, copied, databaseOf, logName } from '../harness/checkpoints.js'
import { exported } from '../harness/exports.js'
import { verdictOf } from '../harness/verification.js'
import { Intruder, isFound, type Row, type TamperCase, Victim } from '../verification/tampered-chain.js'
import { checkpointCases, headCases } from '../verification/tampered-evidence.js'
import { addedId, historyCases, placeCases } from '../verification/tampered-places.js'
import { columnCases, valueCases } from '../verification/tampered-rows.js'

const tampered: Readonly<Record<string, readonly TamperCase[]>> = {
  'a column of an event': columnCases,
  'a value': valueCases,
  'where events stand': placeCases,
  'the history': historyCases,
  'head and tree': headCases,
  'a signed checkpoint': checkpointCases,
}
const cases = Object.values(tampered).flat()
const names = cases.map(({ name }) => name)
// EU's copies are kept in the region after it.
const home = 'EU'
const abroad = 'APAC'

let world: World
let intruders: Record<'home' | 'abroad' | 'control', Intruder>
const victims = new Map<string, Victim>()

beforeAll(async () => {
  world = await createWorld()
  const url = (name: string) => world.databases.superuserUrl(name)
  const chains = new Map<string, { own: WorldWorkspace; other: WorldWorkspace }>()
  // One by one: making things in one company takes turns anyway.
  for (const one of [...cases, { name: 'healthy', long: true }])
    chains.set(one.name, {
      own: await makeChain(one.long === true ? 300 : 12),
      other: 'verify' in one || one.name === 'a content of another workspace' ? await makeChain(12) : world.acme.in.EU,
    })
  for (const { own, other } of chains.values())
    for (const chain of [own, other])
      if (chain !== world.acme.in.EU) {
        const size = sizes.get(chain.id)!
        await checkpointAt(world, chain, size)
        await copied(world, chain, size)
      }
  // What is tampered with must not be signed meanwhile, nor an alarm of its be waited for.
  await world.app.checkpointer.stop()
  intruders = {
    home: await Intruder.open(url(databaseOf(world, home)), [
      'event',
      'chain_head',
      'merkle_node',
      'checkpoint',
      'checkpoint_history',
      'subject_key',
      'tombstone',
    ]),
    abroad: await Intruder.open(url(databaseOf(world, abroad)), ['foreign_checkpoint']),
    control: await Intruder.open(url(world.databases.control.name), ['checkpoint_copy']),
  }
  const { current: signer } = await world.app.verification.keys.of(home)
  for (const [name, { own: workspace, other }] of chains) {
    const rows = await intruders.home.sql<Row>(
      'select *, sequence::integer as sequence from event where workspace_id = $1 order by event.sequence',
      [workspace.id],
    )
    victims.set(
      name,
      new Victim({
        world,
        workspace,
        other,
        ...intruders,
        rows,
        signer: signer!,
      }),
    )
  }
}, 120_000)
afterAll(async () => {
  for (const intruder of Object.values(intruders)) await intruder.close()
  await world.close()
})

const sizes = new Map<string, number>()
let made = 0

async function makeChain(size: number): Promise<WorldWorkspace> {
  const { acme, app } = world
  const deps = { control: app.control, clock: systemClock }
  const name = `Chain ${++made}`
  const workspace = await createWorkspace(deps, { companyId: acme.id, name, dataRegion: home })
  const project = await createProject(deps, { workspaceId: workspace.id, name: 'Main' })
  const { key } = await world.makeKey({ companyId: acme.id, workspaceId: workspace.id, name: 'w', scope: 'WORKSPACE' })
  const gid = encodeId('workspace', workspace.id)
  const chain = { ...workspace, gid, key, project: { ...project, gid: encodeId('project', project.id) } }
  const events = Array.from({ length: size }, (_, n) => ({
    action: 'user.login',
    category: 'auth',
    // The eighth has no actor; each of the first dozen has one of its own, as has each chain.
    ...(n === 7
      ? {}
      : { actor: { id: `u_${made}_${n % 12}`, email: `u${made}.${n % 12}@example.com`, name: `U ${n}` } }),
    target: { id: `t_${n}`, type: 'document' },
    payload: { n, ip: '203.0.113.9' },
    traceId: `trace-${n}`,
    projectId: chain.project.gid,
  }))
  await world.record(chain, events)
  sizes.set(chain.id, size)
  return chain
}

function expected({ reason, sequence, event }: TamperCase, { rows }: Victim) {
  const place = event === undefined ? sequence : event
  const id = place === null ? null : (rows[place - 1]?.id ?? addedId.replace('eeee', 'eee1'))
  return { reason, sequence, eventId: id === null ? null : encodeRegionalId('event', home, id) }
}

it('has more than sixty ways to tamper, each with a name of its own', () => {
  expect(new Set(names).size).toBe(cases.length)
  expect(cases.length).toBeGreaterThanOrEqual(60)
})

it('is silent about a chain that nobody touched', async () => {
  for (const name of ['healthy', cases[0]!.name])
    expect(await verdictOf(world, victims.get(name)!.workspace)).toMatchObject({ ok: true, firstBreak: null })
})

it('notices a verifier that says yes, and one that is a place or a reason off', async () => {
  const victim = victims.get('healthy')!
  const yes = await verdictOf(world, victim.workspace)
  for (const one of cases) {
    const what = expected(one, victims.get(one.name)!)
    expect(isFound(yes, what)).toBe(false)
    const right = { ...yes, ok: false, firstBreak: what }
    expect(isFound(right, what)).toBe(true)
    expect(isFound({ ...right, ok: true }, what)).toBe(false)
    expect(isFound({ ...right, firstBreak: { ...what, sequence: what.sequence + 1 } }, what)).toBe(false)
    expect(isFound({ ...right, firstBreak: { ...what, reason: 'TOMBSTONE_MISMATCH' } }, what)).toBe(
      what.reason === 'TOMBSTONE_MISMATCH',
    )
  }
})

describe.each(Object.entries(tampered))('%s, tampered with', (_, group) => {
  it.each(group.map((one) => [one.name, one] as const))('is found, named and placed: %s', async (name, one) => {
    const victim = victims.get(name)!
    await one.tamper(victim)
    const answer = await verdictOf(world, one.verify === 'other' ? victim.other : victim.workspace)
    const what = expected(one, victim)
    expect({ ok: answer.ok, firstBreak: answer.firstBreak }).toEqual({ ok: false, firstBreak: what })
    expect(isFound(answer, what)).toBe(true)
  })
})

describe('an export', () => {
  const bitsFlipped = 200
  const exportOf = async (name: string): Promise<string> => (await exported(world, victims.get(name)!.workspace)).text

  /** As who knows log, workspace and key from elsewhere sees it. */
  function judged(name: string, text: string, earlier?: { treeSize: number; rootHash: string }): Verdict {
    const { workspace, signer } = victims.get(name)!
    const verifier = new ExportVerifier({
      logName,
      workspaceId: workspace.id,
      keys: [signer],
      ...(earlier === undefined ? {} : { earlier: [earlier] }),
    })
    for (const line of text.split('\n')) if (!verifier.line(line)) break
    return verifier.finish()
  }

  it('of a chain that nobody touched verifies', async () => {
    expect(judged('healthy', await exportOf('healthy'))).toMatchObject({ outcome: 'OK', checkedEvents: 300 })
  })

  it('with a bit flipped, wherever it is, does not', async () => {
    const text = await exportOf('healthy')
    // What an export says of keys is only a hint, which nobody who knows the keys looks at.
    const bytes = Buffer.from(text.slice(0, text.indexOf(',"publicKeys"')))
    const rest = text.slice(bytes.toString().length)
    for (let n = 0; n < bitsFlipped; n++) {
      const at = Math.floor((n * bytes.length) / bitsFlipped)
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << (n % 7)
      expect(judged('healthy', flipped.toString() + rest).ok, `bit ${n % 7} of byte ${at}`).toBe(false)
    }
  })

  it('cut short, or with lines left out, does not', async () => {
    const lines = (await exportOf('healthy')).trimEnd().split('\n')
    for (const some of [lines.slice(0, -1), lines.slice(1), lines.toSpliced(100, 1), lines.toSpliced(299, 1), []])
      expect(judged('healthy', some.join('\n')).ok).toBe(false)
  })

  it('of another history than was seen before is a fork', async () => {
    const name = cases.find((one) => one.name.includes('two heads of one size'))!.name
    const victim = victims.get(name)!
    const [kept] = await victim.control.sql<{ note: string }>(
      'select note from checkpoint_copy where workspace_id = $1',
      [victim.id],
    )
    const { treeSize, rootHash } = parseCheckpoint(kept!.note)!
    // The region has signed its new history, so by itself nothing is wrong with it.
    const text = await exportOf(name)
    expect(judged(name, text)).toMatchObject({ outcome: 'OK', checkedEvents: 12 })
    expect(judged(name, text, { treeSize, rootHash })).toMatchObject({
      outcome: 'FORK',
      firstBreak: { reason: 'CHECKPOINT_MISMATCH', sequence: 12 },
    })
    expect(rootHash).not.toBe(fromBytes(Buffer.alloc(32)))
  })

  it.each(['the column body, one bit', 'the column hash', 'a value changed by one who has the key'])(
    'of a tampered database names the same place: %s',
    async (name) => {
      const { reason, sequence } = cases.find((one) => one.name === name)!
      expect(judged(name, await exportOf(name)).firstBreak).toMatchObject({ reason, sequence })
    },
  )
})
