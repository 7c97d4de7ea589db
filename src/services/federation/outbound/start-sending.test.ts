import { sql } from 'kysely'
import { expect, onTestFinished, test, vi } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { App } from '../../../app.ts'
import type { ServerName, UserId } from '../../../core/ids.ts'
import type { FederationRequest } from '../../../infra/federation/federation-client.ts'
import { DeniedServerError } from '../../../infra/federation/federation-error.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { queueWithinLimit } from '../../devices/queue-edus.ts'
import { startSending } from './start-sending.ts'

const DORA = '@dora:s0' as UserId
const SERVERS = Array.from({ length: 60 }, (_, i) => `s${i}` as ServerName)
const LEASE_MS = 6000
const LOOK_MS = 1000

/**
 * Creates a server with a room that many other servers are in; counts its writes, some of which can be made to fail.
 */
async function setUp() {
  const reading = await createTestApp({ users: PEOPLE })
  const { database } = reading
  const room = await createReadingRoom(reading)
  await room.member(DORA, 'join')
  await sql`insert into room_servers (room_id, server_name, joined_members)
    select ${room.roomId}, name, 1 from unnest(${SERVERS.slice(1)}::text[]) as others(name)`.execute(database.sql)
  let onRequest = (_bodies: string[]) => {}
  const asked: { destination: ServerName; txnId: string; pdus: string[]; turn: number }[] = []
  let turn = 0
  const nextTurn = () => void setImmediate(() => ++turn && nextTurn())
  nextTurn()
  const request = async ({ destination, path, content }: FederationRequest) => {
    const { pdus } = JSON.parse(content!)
    const bodies: string[] = pdus.map((pdu: { content: { body: string } }) => pdu.content.body)
    onRequest(bodies)
    asked.push({ destination, txnId: path.split('/').at(-1)!, pdus: bodies, turn })
    return { pdus: {} }
  }
  const writes = { count: 0, toFail: 0, failed: 0 }
  const write: typeof database.write = (work) => {
    writes.count++
    if (writes.toFail === 0) return database.write(work)
    writes.toFail--
    writes.failed++
    return Promise.reject(new Error('the database is away'))
  }
  const stopping = new AbortController()
  const app = {
    ...reading,
    database: { ...database, write },
    federation: { request } as unknown as App['federation'],
    stopping: stopping.signal,
  }
  const sending = await startSending(app)
  onTestFinished(async () => {
    stopping.abort()
    await sending.stop()
    await reading.close()
  })
  const isIdle = async () => {
    const { rows } = await sql`select 1 from federation_destinations where wake_ts is not null
      union all select 1 from federation_queue`.execute(database.sql)
    return rows.length === 0
  }
  // Until its first poll has ended: the database answers in order.
  for (let i = 0; i < 3; i++) await isIdle()
  const whenAsked = (act: typeof onRequest) => (onRequest = act)
  return { ...room, app, asked, whenAsked, writes, isIdle, idle: () => pollUntil('nothing waits', isIdle) }
}

test('a message goes to many servers by few transactions of the database, one request in each turn', async () => {
  const { message, asked, writes, idle } = await setUp()
  await message(ALICE, 'hello')
  await idle()
  expect(asked.map(({ destination }) => destination).sort()).toEqual([...SERVERS].sort())
  expect(asked.every(({ pdus }) => pdus.join() === 'hello')).toBe(true)
  const turns = Map.groupBy(asked, ({ turn }) => turn)
  expect(Math.max(...[...turns.values()].map((some) => some.length))).toBe(1)
  // Acquiring and finishing each of them singly would need 120.
  expect(writes.count).toBeLessThan(30)
})

test('while the database takes nothing from us, no server is forgotten, and each gets all in order', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { app, message, asked, whenAsked, writes, isIdle, idle } = await setUp()
  // Joint acquisitions, and some single ones.
  writes.toFail = 20
  await message(ALICE, 'one')
  await pollUntil('taking some has failed', () => writes.failed === 20)
  // They come before entries that other processes left.
  vi.advanceTimersByTime(LOOK_MS)
  await pollUntil('all have it', () => asked.length >= SERVERS.length)
  await idle()
  whenAsked(() => {
    writes.toFail = 40
    whenAsked(() => {})
  })
  await message(ALICE, 'two')
  await pollUntil('noting that some have it has failed', () => writes.failed === 60)
  app.clock.advance(LEASE_MS)
  await pollUntil('nothing waits', () => {
    vi.advanceTimersByTime(LOOK_MS)
    return isIdle()
  })
  expect(asked.length).toBeGreaterThan(2 * SERVERS.length)
  for (const name of SERVERS) {
    const byId = new Map(asked.flatMap((it) => (it.destination === name ? [[it.txnId, it.pdus.join()]] : [])))
    expect([...byId.values()]).toEqual(['one', 'two'])
  }
})

test('for servers that the configuration denies, nothing is queued', async () => {
  const { app, message, whenAsked } = await setUp()
  whenAsked(() => {
    throw new DeniedServerError('all')
  })
  const queued = async () => {
    const { rows } = await sql<{ events: number; retries: number }>`select
      (select count(*) from federation_queue)::int as events, (select count(*) from federation_destinations
        where needs_catch_up and retry_ts > ${app.clock.now() + 3_600_000}::bigint)::int as retries`.execute(
      app.database.sql,
    )
    return rows[0]!
  }
  await message(ALICE, 'one')
  await pollUntil('no event waits', async () => (await queued()).retries === SERVERS.length)
  await message(ALICE, 'two')
  expect((await queued()).events).toBe(0)
  app.config.federation.servers.deny.push('s1')
  const edus = ['s0', 's1'].map((destination) => ({
    destination: destination as ServerName,
    type: 'm.typing',
    content: {},
  }))
  await app.database.write((tx) => queueWithinLimit(app, tx, edus))
  const { rows } = await sql<{ destination: string }>`select destination from federation_edus`.execute(app.database.sql)
  expect(rows).toEqual([{ destination: 's0' }])
})
