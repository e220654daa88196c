import { execFile } from 'node:child_process'
import { createSecretKey, type KeyObject } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { Database } from '../../src/db/database.js'
import { newUuid } from '../../src/kernel/ids.js'
import { KEY_AGE_MS_MAX } from '../../src/sealing/key-cache.js'
import { BUCKET_COUNT, DirectoryKeyVault } from '../../src/sealing/key-vault.js'
import { newSecretKey } from '../../src/sealing/secret-box.js'
import { SubjectKeys, type Subject, type SubjectKeyPair } from '../../src/sealing/subject-keys.js'
import { equalityTag } from '../../src/sealing/tags.js'
import { compile } from '../harness/compiled.js'
import { cloneDatabases, type ClonedDatabases } from '../harness/databases.js'
import { settableClock, type SettableClock } from '../harness/settable-clock.js'
import { TcpProxy } from '../harness/tcp-proxy.js'

const masterKey = createSecretKey(Buffer.alloc(32, 5))
const masterKeys = new Map([['EU', masterKey]] as const)
const companyId = newUuid()
const workspaceId = newUuid()
const tagKeys = new Map<string, KeyObject>()
const tagKeyOf = (id: string): KeyObject => {
  const known = tagKeys.get(id) ?? newSecretKey()
  tagKeys.set(id, known)
  return known
}

let databases: ClonedDatabases
let superuser: Client
let proxy: TcpProxy
let database: Database
let directory: string
let clock: SettableClock
let keys: SubjectKeys

beforeAll(async () => {
  databases = await cloneDatabases()
  superuser = new Client({ connectionString: databases.superuserUrl(databases.regions.EU.name) })
  await superuser.connect()
})
afterAll(async () => {
  await superuser.end()
  await databases.drop()
})
beforeEach(async () => {
  proxy = await TcpProxy.before(databases.regions.EU.databaseUrl)
  database = Database.open({ name: 'EU', url: proxy.urlFor(databases.regions.EU.databaseUrl) })
  directory = await mkdtemp(join(tmpdir(), 'vault-'))
  clock = settableClock()
  keys = anotherProcess()
  await superuser.query('truncate subject_key')
})
afterEach(async () => {
  await database.close(1_000)
  await proxy.close()
  await rm(directory, { recursive: true })
})

const anotherProcess = (): SubjectKeys =>
  new SubjectKeys({ vault: new DirectoryKeyVault({ directory, masterKeys, clock }), clock })
const subject = (name: string | null, more: Partial<Subject> = {}): Subject => ({
  companyId,
  workspaceId,
  actorId: name,
  actorEmail: name === null ? null : `${name}@Example.com`,
  ...more,
})
const ensure = (subjects: readonly Subject[], by = keys): Promise<readonly SubjectKeyPair[]> =>
  by.ensure(database, 'EU', tagKeyOf, subjects)
const load = (ids: readonly string[], by = keys, company = companyId): Promise<Map<string, KeyObject>> =>
  database.transaction({ companies: [company], readOnly: true, timeoutMs: 5_000 }, (tx) => by.load(tx, 'EU', ids))
const ids = (pairs: readonly SubjectKeyPair[]): string[] => pairs.flatMap((pair) => [pair.identity.id, pair.content.id])
const same = (a: KeyObject | undefined, b: KeyObject | undefined): boolean =>
  a !== undefined && b !== undefined && a.equals(b)

describe('subject keys', () => {
  it('are one pair per subject, in the order asked for, the same in every process', async () => {
    const subjects = [subject('ada'), subject('bob'), subject('ada'), subject(null)]
    const [ada, bob, adaAgain, own] = await ensure(subjects)
    expect(adaAgain).toEqual(ada)
    expect(new Set(ids([ada!, bob!, own!])).size).toBe(6)
    const elsewhere = await ensure(subjects, anotherProcess())
    expect(ids(elsewhere)).toEqual(ids([ada!, bob!, ada!, own!]))
    elsewhere.forEach((pair, i) => {
      expect(same(pair.identity.key, [ada, bob, ada, own][i]!.identity.key)).toBe(true)
      expect(same(pair.content.key, [ada, bob, ada, own][i]!.content.key)).toBe(true)
    })
    expect(ada!.identity.key.equals(ada!.content.key)).toBe(false)
  })

  it('belong to the person in all workspaces of a company, and to nobody in another company', async () => {
    const [here] = await ensure([subject('ada')])
    const [there] = await ensure([subject('ada', { workspaceId: newUuid() })])
    const [stranger] = await ensure([subject('ada', { companyId: newUuid() })])
    expect(ids([there!])).toEqual(ids([here!]))
    expect(ids([stranger!])).not.toEqual(ids([here!]))
  })

  it('of events without an actor are those of the workspace', async () => {
    const [one, two] = await ensure([subject(null), subject(null, { workspaceId: newUuid() })])
    expect(ids([one!])).not.toEqual(ids([two!]))
  })

  it('can be found by the tags of the actor, the address in lower case', async () => {
    await ensure([subject('Ada')])
    const tagKey = tagKeyOf(companyId)
    const { rows } = await superuser.query(
      'select blob from subject_key where actor_id_tag = $1 and actor_email_tag = $2 order by blob',
      [equalityTag(tagKey, 'actor.id', 'Ada'), equalityTag(tagKey, 'actor.email', 'ada@example.com')],
    )
    expect(rows.map((row: { blob: string }) => row.blob)).toEqual(['content', 'identity'])
  })

  it('come from memory without a statement, for ten minutes', async () => {
    const subjects = Array.from({ length: 1_000 }, (_, i) => subject(`user ${i}`))
    const made = await ensure(subjects)
    await proxy.set('refuse')
    clock.advance(KEY_AGE_MS_MAX)
    expect(ids(await ensure(subjects))).toEqual(ids(made))
    clock.advance(1)
    await expect(ensure(subjects)).rejects.toMatchObject({ kind: 'unreachable' })
  })

  it('made by many at once for the same subjects are one pair each', async () => {
    const subjects = Array.from({ length: 200 }, (_, i) => subject(`user ${i}`))
    const processes = Array.from({ length: 6 }, anotherProcess)
    const answers = await Promise.all(
      processes.map((by, i) => ensure(i % 2 === 0 ? subjects : subjects.toReversed(), by)),
    )
    const forwards = answers.map((pairs, i) => ids(i % 2 === 0 ? pairs : pairs.toReversed()))
    for (const one of forwards) expect(one).toEqual(forwards[0])
    const { rows } = await superuser.query<{ n: number }>('select count(*)::integer as n from subject_key')
    expect(rows[0]!.n).toBe(400)
  })

  it('are loaded by their ids; one that was destroyed is missing', async () => {
    const pairs = await ensure([subject('ada'), subject('bob')])
    const [ada, bob] = pairs
    await superuser.query('delete from subject_key where id = $1', [ada!.identity.id])
    const found = await load([...ids(pairs), newUuid()], anotherProcess())
    expect([...found.keys()].toSorted()).toEqual([ada!.content.id, ...ids([bob!])].toSorted())
    expect(same(found.get(bob!.identity.id), bob!.identity.key)).toBe(true)
  })

  it('that are forgotten are asked for again', async () => {
    const [ada, bob] = await ensure([subject('ada'), subject('bob')])
    await superuser.query('delete from subject_key')
    keys.forget('EU', [ada!.identity.id])
    expect([...(await load(ids([ada!, bob!]))).keys()]).toEqual([ada!.content.id, ...ids([bob!])])
    const [adaNow, bobNow] = await ensure([subject('ada'), subject('bob')])
    expect(adaNow!.identity.id).not.toBe(ada!.identity.id)
    expect(bobNow).toEqual(bob)
    keys.forget('EU')
    const [bobLater] = await ensure([subject('bob')])
    expect(bobLater!.identity.id).not.toBe(bob!.identity.id)
  })

  it('of another company can not be loaded', async () => {
    const [ada] = await ensure([subject('ada')])
    expect((await load(ids([ada!]), anotherProcess(), newUuid())).size).toBe(0)
  })

  it('are refused where their rows were exchanged', async () => {
    const pairs = await ensure([subject('ada'), subject('bob')])
    const [ada, bob] = pairs
    await superuser.query(
      `update subject_key k set wrapped = o.wrapped, bucket = o.bucket from subject_key o
       where (k.id, o.id) in (($1, $2), ($2, $1))`,
      [ada!.identity.id, bob!.identity.id],
    )
    await expect(load(ids(pairs), anotherProcess())).rejects.toMatchObject({ name: 'SealBrokenError' })
    await expect(ensure([subject('ada')], anotherProcess())).rejects.toMatchObject({ name: 'SealBrokenError' })
  })

  it('and whose they are can not be read off the database', async () => {
    const [ada] = await ensure([subject('ada.lovelace')])
    const { rows } = await superuser.query<{ text: string }>('select k::text as text from subject_key k')
    const text = rows
      .map((row) => row.text)
      .join('\n')
      .toLowerCase()
    for (const secret of [
      'lovelace',
      ada!.identity.key.export().toString('hex'),
      ada!.content.key.export().toString('hex'),
    ]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(Buffer.from(secret).toString('hex'))
    }
  })
})

describe('the key vault', () => {
  it('has one key for each bucket when two processes make all of them at once', async () => {
    const run = promisify(execFile)
    const module = compile('sealing/key-vault.ts')
    onTestFinished(module.remove)
    const script = `import { createHash, createSecretKey } from 'node:crypto'
      const { DirectoryKeyVault } = await import(${JSON.stringify(module.url)})
      const vault = new DirectoryKeyVault({
        directory: process.argv[1], clock: { now: () => new Date() },
        masterKeys: new Map([['EU', createSecretKey(Buffer.alloc(32, 5))]]),
      })
      while (Date.now() < Number(process.argv[2]));
      const keys = await Promise.all(Array.from({ length: ${BUCKET_COUNT} }, (_, bucket) => vault.bucketKey('EU', bucket)))
      console.log(createHash('sha256').update(Buffer.concat(keys.map((key) => key.export()))).digest('hex'))`
    const startAt = String(Date.now() + 1_500)
    const racers = Array.from({ length: 3 }, () =>
      run(process.execPath, ['--input-type=module', '--eval', script, directory, startAt]),
    )
    const digests = (await Promise.all(racers)).map(({ stdout }) => stdout.trim())
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(new Set(digests).size).toBe(1)
    expect(await readdir(join(directory, 'eu'))).toHaveLength(BUCKET_COUNT)
  })
})
