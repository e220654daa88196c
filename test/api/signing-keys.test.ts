import { PassThrough } from 'node:stream'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { addDirectoryCommands } from '../../src/cli/admin-commands.js'
import { readBody } from '../../src/ledger/body-rules.js'
import { toHex } from '../../src/ledger/crypto.js'
import { signingKeyFromSeed } from '../../src/ledger/signing-key.js'
import { createWorld, sendGraphql, type World } from '../harness/app.js'
import { verifiedChain } from '../harness/chain.js'
import { checkpointAt, checkpointOf, events, listening, logName, publicKeys, signerIn } from '../harness/checkpoints.js'

describe('a new signing key', () => {
  /** `hyrelog admin …` on the world's databases: what it prints, and its exit code. */
  async function admin(world: World, args: readonly string[], environment: Record<string, string> = {}) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const exit: { code?: number } = {}
    const program = new Command('hyrelog').exitOverride()
    const env = {
      CONTROL_DATABASE_URL: world.databases.control.databaseUrl,
      CONTROL_OWNER_URL: world.databases.control.ownerUrl,
      CONTROL_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'),
      API_KEY_PEPPER: Buffer.alloc(32, 2).toString('base64'),
      KEY_VAULT_DIR: world.keyVaultDir,
      LOG_NAME: logName,
      REGION_EU_MASTER_KEY: Buffer.alloc(32, 12).toString('base64'),
      ...environment,
    }
    const cli = { stdin: process.stdin, stdout, stderr, env } as unknown as Parameters<typeof addDirectoryCommands>[1]
    addDirectoryCommands(program, cli, (code) => {
      exit.code = code
    })
    await program.parseAsync(['admin', ...args], { from: 'user' })
    const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString('utf8') ?? ''
    return { code: exit.code, stdout: text(stdout), stderr: text(stderr) }
  }

  it('is announced in every chain of the region by both keys, and signs from there on', async () => {
    const { log, alarms } = listening()
    const world = await createWorld({ log })
    const second = await world.another()
    try {
      const chains = [world.acme.in.EU, world.globex.in.EU]
      const elsewhere = world.acme.in.US
      for (const chain of [...chains, elsewhere]) await world.record(chain, events(3))
      const before = await Promise.all(chains.map((chain) => checkpointAt(world, chain, 3)))
      const elsewhereBefore = await checkpointAt(world, elsewhere, 3)
      const former = await signerIn(world.url, before[0]!, chains[0]!)
      const { code, stdout, stderr } = await admin(world, ['signing-key', 'rotate', 'eu', '--json'])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const report = JSON.parse(stdout) as { name: string; former: string; current: string }
      expect(report).toMatchObject({ name: `${logName}/EU`, former })
      expect(report.current).not.toBe(former)
      for (const chain of chains) {
        const checkpoint = await checkpointAt(world, chain, 4)
        expect(await signerIn(world.url, checkpoint, chain)).toBe(report.current)
        const stored = await verifiedChain(world.app.registry.get('EU').database, chain)
        const body = readBody(stored[3]!.body.toString())
        expect(body).toMatchObject({
          fields: { action: 'ledger.key', category: 'system' },
          system: { kind: 'keyRotation', name: report.name },
        })
        expect(JSON.parse(stored[3]!.body.toString())).toMatchObject({ digests: [], targetType: null })
        const { system } = body as { system: { old: string; new: string } }
        expect([toHex(system.old), toHex(system.new)]).toEqual([former, report.current])
      }
      const keys = (await publicKeys(world.url)).filter(({ name }) => name === report.name)
      expect(
        keys.map(({ publicKey, retiredAt }) => [Buffer.from(publicKey).toString('hex'), retiredAt !== null]),
      ).toEqual([
        [former, true],
        [report.current, false],
      ])
      // The other process, which was not asked, signs by the new key too.
      await sendGraphql(
        second.url,
        chains[0]!.key,
        'mutation ($input: IngestEventsInput!) { ingestEvents(input: $input) { receipts { eventId } } }',
        {
          input: { events: events(1) },
        },
      )
      expect(await signerIn(world.url, await checkpointAt(world, chains[0]!, 5), chains[0]!)).toBe(report.current)
      expect(await checkpointOf(world, elsewhere)).toEqual(elsewhereBefore)
      const { data } = await world.gql(
        chains[0]!.key,
        '{ workspaceEvents(filter: { actions: ["ledger.key"] }) { nodes { category actor { id } payload sequence } } }',
      )
      expect(data.workspaceEvents.nodes).toEqual([{ category: 'system', actor: null, payload: {}, sequence: 4 }])
      expect(alarms).toEqual([])
    } finally {
      await second.app.close()
      await world.close()
    }
  })

  it('is taken from the settings too, and announced by the key before it', async () => {
    const seeds = [1, 2].map((fill) => signingKeyFromSeed(Buffer.alloc(32, fill)))
    const world = await createWorld({ config: { signingKeys: new Map([['EU', [seeds[0]!]]]) } })
    try {
      const chain = world.acme.in.EU
      await world.record(chain, events(2))
      const former = await signerIn(world.url, await checkpointAt(world, chain, 2), chain)
      const given = Buffer.alloc(32, 1).toString('base64')
      const refused = await admin(world, ['signing-key', 'rotate', 'EU'], { REGION_EU_SIGNING_KEY: given })
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('REGION_EU_SIGNING_KEY')
      expect(refused.stderr).not.toContain(given)
      const restarted = await world.another({ config: { signingKeys: new Map([['EU', [seeds[1]!, seeds[0]!]]]) } })
      const signer = await signerIn(world.url, await checkpointAt(world, chain, 3), chain)
      expect(signer).not.toBe(former)
      // The process with the old settings goes on recording; it can't sign, and does not turn the key back.
      await world.record(chain, events(1))
      await restarted.app.checkpointer.sweep('EU')
      expect(await signerIn(world.url, await checkpointAt(world, chain, 4), chain)).toBe(signer)
      await restarted.app.close()
    } finally {
      await world.close()
    }
  })
})
