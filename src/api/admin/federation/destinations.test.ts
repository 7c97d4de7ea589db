import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName } from '../../../core/ids.ts'
import {
  failTransaction,
  finishTransactions,
  takeTransactions,
} from '../../../storage/federation/outgoing-transactions.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { destinationEndpoints } from './destinations.ts'

const path = '/../../../_synapse/admin/v1/federation/destinations'
const [UP, DOWN] = ['up.example.org', 'down.example.org'] as ServerName[]

let api: Awaited<ReturnType<typeof startClientApi>>
let admin: TestClient
beforeAll(async () => {
  api = await startClientApi({ endpoints: destinationEndpoints })
  admin = await api.client('admin', { admin: true })
  const { database, clock } = api.app
  const now = clock.now()
  const lease = { holder: 'one', now, until: now + 1000 }
  await database.write(async (tx) => {
    for (const destination of [UP!, DOWN!])
      await sql`insert into federation_queue (destination, room_id, event_nid) values (${destination}, '!a:x', 70)`.execute(
        tx.sql,
      )
    for (const room of ['!a:x', '!b:x', '!c:x'])
      await sql`insert into room_servers (room_id, server_name, joined_members) values (${room}, ${UP}, 1)`.execute(
        tx.sql,
      )
    const wanted = [UP!, DOWN!].map((destination) => ({ destination, txnId: `t-${destination}` }))
    const taken = await takeTransactions(tx, lease, wanted)
    const sent = taken.get(UP!) as never
    await finishTransactions(tx, lease, [{ destination: UP!, txnId: 'next', sent }])
    const failure = { now, retryAt: now + 60_000, catchUpIfBefore: 0, isRefused: false }
    await failTransaction(tx, { destination: DOWN!, holder: 'one' }, failure)
  })
})
afterAll(() => api.close())

const up = () => ({
  ...{ destination: UP, retry_last_ts: 0, retry_interval: 0, failure_ts: null },
  last_successful_stream_ordering: 70,
})
const down = () => ({
  ...{ destination: DOWN, retry_last_ts: expect.any(Number), retry_interval: 60_000, failure_ts: expect.any(Number) },
  last_successful_stream_ordering: null,
})

test('destinations are listed, searched and sorted', async () => {
  expect(await admin.ok('GET', path)).toEqual({ destinations: [down(), up()], total: 2 })
  expect(await admin.ok('GET', `${path}?destination=UP.`)).toEqual({ destinations: [up()], total: 1 })
  expect(await admin.ok('GET', `${path}?dir=b&limit=1`)).toEqual({ destinations: [up()], total: 2, next_token: '1' })
  for (const order of [
    'destination',
    'retry_last_ts',
    'retry_interval',
    'failure_ts',
    'last_successful_stream_ordering',
  ])
    expect((await admin.ok('GET', `${path}?order_by=${order}`)).total).toBe(2)
  expect((await admin.ok('GET', `${path}?order_by=retry_interval`)).destinations[0].destination).toBe(UP)
  expect(await admin.ask('GET', `${path}?order_by=height`)).toMatchObject({ status: 400 })
  expect(await admin.ok('GET', `${path}/${DOWN}`)).toEqual(down())
  expect(await admin.ask('GET', `${path}/none.example.org`)).toMatchObject({
    status: 404,
    body: { errcode: 'M_NOT_FOUND' },
  })
})

test('the rooms of a destination are listed', async () => {
  const { rooms, ...page } = await admin.ok('GET', `${path}/${UP}/rooms?limit=2`)
  expect(page).toEqual({ total: 3, next_token: '2' })
  expect(rooms).toEqual(['!a:x', '!b:x'].map((room_id) => ({ room_id, stream_ordering: 0 })))
  expect((await admin.ok('GET', `${path}/${UP}/rooms?dir=b`)).rooms[0].room_id).toBe('!c:x')
  expect(await admin.ask('GET', `${path}/none.example.org/rooms`)).toMatchObject({ status: 404 })
})

test('a back-off is ended, if there is one', async () => {
  const reset = (server: string) => admin.ask('POST', `${path}/${server}/reset_connection`, {})
  expect(await reset(UP!)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
  expect(await reset('none.example.org')).toMatchObject({ status: 404 })
  expect(await reset(DOWN!)).toEqual({ status: 200, body: {} })
  const now = { retry_last_ts: 0, retry_interval: 0, failure_ts: expect.any(Number) }
  expect(await admin.ok('GET', `${path}/${DOWN}`)).toMatchObject(now)
  expect(await reset(DOWN!)).toMatchObject({ status: 400 })
})
