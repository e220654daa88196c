import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { NotificationListener } from '../../src/db/notification-listener.js'
import { createEmptyDatabase, superuserUrl, type DatabaseUrls } from '../harness/databases.js'
import { eventually } from '../harness/eventually.js'

let database: DatabaseUrls & { readonly drop: () => Promise<void> }
let admin: Client
let listener: NotificationListener
let heard: string[]

beforeAll(async () => {
  database = await createEmptyDatabase()
  admin = new Client({ connectionString: superuserUrl(database.name) })
  await admin.connect()
})
afterEach(() => listener.stop())
afterAll(async () => {
  await admin.end()
  await database.drop()
})

function listen(): void {
  heard = []
  listener = new NotificationListener(database.databaseUrl, ['first_channel', 'second_channel'], {
    onNotification: (channel, payload) => heard.push(`${channel} ${payload}`),
    onReset: () => heard.push('reset'),
    onLost: () => heard.push('lost'),
  })
  listener.start()
}
const hears = (what: string): Promise<true> => eventually(`${what} is heard`, () => heard.includes(what))
const endSessions = async (): Promise<void> => {
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hyrelog listen' and datname = current_database()`,
  )
}

it('hears every channel, in order, after saying that it listens', async () => {
  listen()
  expect(listener.connected).toBe(false)
  await hears('reset')
  await admin.query(`select pg_notify('first_channel', 'a'), pg_notify('second_channel', 'b'), pg_notify('other', 'c')`)
  await hears('second_channel b')
  expect(heard).toEqual(['reset', 'first_channel a', 'second_channel b'])
  expect(listener.connected).toBe(true)
})

it('reconnects by itself, and says that something may have been missed', async () => {
  listen()
  await hears('reset')
  await endSessions()
  await hears('lost')
  await eventually('it listens again', () => heard.filter((what) => what === 'reset').length === 2)
  await admin.query(`notify first_channel, 'again'`)
  await hears('first_channel again')
  expect(heard).toEqual(['reset', 'lost', 'reset', 'first_channel again'])
})

it('is quiet once it is stopped', async () => {
  listen()
  await hears('reset')
  await listener.stop()
  await admin.query(`notify first_channel, 'late'`)
  const { rows } = await admin.query(
    `select from pg_stat_activity where application_name = 'hyrelog listen' and datname = current_database()`,
  )
  expect(rows).toEqual([])
  expect(listener.connected).toBe(false)
  expect(heard).toEqual(['reset'])
})
