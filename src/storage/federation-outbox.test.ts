import { expect, test, vi } from 'vitest'
import type { ServerName, UserId } from '../core/ids.ts'
import { appendEvent } from '../services/rooms/append-event.ts'
import { ALICE, createReadingApp, createReadingRoom, START } from '../services/rooms/test-reading-room.ts'
import { loadEvents } from './events.ts'
import { onQueued, queueEdus } from './federation-outbox.ts'
import {
  endRest,
  failTransaction,
  findDueDestinations,
  findForgottenDestinations,
  finishTransaction,
  lagAllDestinations,
  OUTBOX_START,
  type OutboxMark,
  type OutgoingTransaction,
  takeTransaction,
} from './federation-transactions.ts'
import { recountRoomServers } from './other-servers.ts'

const Y = 'y' as ServerName
const Z = 'z' as ServerName
const DORA = '@dora:y' as UserId
const ERIC = '@eric:y' as UserId
const ZOE = '@zoe:z' as UserId
const HOUR = 3_600_000

async function setUp() {
  const app = await createReadingApp()
  const { database } = app
  const room = await createReadingRoom(app)
  let now = START
  let number = 0
  const lease = (destination: ServerName, holder = 'one') => ({ destination, holder, now, until: now + 10 })
  const txn = () => `txn${++number}`
  return {
    ...room,
    app,
    database,
    later: (ms: number) => {
      now += ms
    },
    take: (destination: ServerName, holder?: string) =>
      database.write((tx) => takeTransaction(tx, lease(destination, holder), txn())),
    finish: (destination: ServerName, sent: OutgoingTransaction, holder?: string) =>
      database.write((tx) => finishTransaction(tx, lease(destination, holder), { sent, txnId: txn() })),
    fail: (destination: ServerName, rest: number, more: { isRefused?: boolean; holder?: string } = {}) =>
      database.write((tx) =>
        failTransaction(tx, lease(destination, more.holder), {
          now,
          retryAt: now + rest,
          lagsIfBefore: now - HOUR,
          isRefused: more.isRefused ?? false,
        }),
      ),
    due: () => findDueDestinations(database, now, 10),
    forgotten: async (since: OutboxMark = OUTBOX_START) => findForgottenDestinations(database, since),
    bodies: async (transaction: OutgoingTransaction | undefined) => {
      const events = await loadEvents(database, transaction?.events ?? [])
      return transaction?.events.map((nid) => {
        const { type, content } = events.get(nid)!.pdu
        return String(content.body ?? content.membership ?? type)
      })
    },
    serversOf: async () =>
      (
        await database.sql
          .selectFrom('room_servers')
          .select(['server_name', 'joined_members'])
          .where('room_id', '=', room.roomId)
          .orderBy('server_name')
          .execute()
      ).map((row) => `${row.server_name} ${row.joined_members}`),
  }
}

test('members are counted by server, and a count made anew is the same', async () => {
  const { database, roomId, member, serversOf } = await setUp()
  await member(DORA, 'join')
  await member(ERIC, 'join')
  await member(ZOE, 'join')
  await member(ERIC, 'join', ERIC, { displayname: 'Eric' })
  expect(await serversOf()).toEqual(['y 2', 'z 1'])
  await member(ERIC, 'leave')
  await member(ZOE, 'ban', ALICE)
  expect(await serversOf()).toEqual(['y 1'])
  await database.write((tx) => recountRoomServers(tx, 'x' as ServerName, [roomId]))
  expect(await serversOf()).toEqual(['y 1'])
})

test('our events are queued in order for each other server in the room, and once more if nobody says that they arrived', async () => {
  const { member, message, take, finish, bodies, forgotten, due, later } = await setUp()
  await message(ALICE, 'alone')
  await member(DORA, 'join')
  await member(ZOE, 'join')
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  const { destinations, mark } = await forgotten()
  expect(destinations.sort()).toEqual(['y', 'z'])
  expect((await forgotten(mark)).destinations).toEqual([])
  const first = (await take(Y))!
  // The test makes Zoe's join here, as a resident server would send it on; Dora's is not for her own server.
  expect(await bodies(first)).toEqual(['join', 'one', 'two'])
  await message(ALICE, 'three')
  expect(await take(Y, 'two')).toBeUndefined()
  expect(await due()).toEqual([])
  later(11)
  expect(await due()).toEqual(['y'])
  const again = (await take(Y, 'two'))!
  expect(again).toEqual(first)
  expect(await finish(Y, first, 'one')).toBeUndefined()
  const next = (await finish(Y, again, 'two'))!
  expect(await bodies(next)).toEqual(['three'])
  expect(next.txnId).not.toBe(first.txnId)
  expect(await finish(Y, next, 'two')).toBeUndefined()
  expect(await take(Y)).toBeUndefined()
})

test('who is made to leave is told through the own server, and nothing after that', async () => {
  const { member, message, take, bodies } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await member(DORA, 'leave', ALICE)
  await message(ALICE, 'secret')
  await member(ERIC, 'invite', ALICE)
  await member(ERIC, 'leave', ALICE)
  expect(await bodies(await take(Y))).toEqual(['one', 'leave', 'leave'])
})

test('a destination rests after a failure and gets the same transaction then', async () => {
  const { database, member, message, take, fail, due, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  const edu = (key: string, isEphemeral: boolean, value: number) => ({
    destination: Y,
    type: 'm.test',
    content: { value },
    key,
    isEphemeral,
  })
  await database.write((tx) => queueEdus(tx, [edu('a', true, 1), edu('b', false, 2), edu('b', false, 3)]))
  const first = (await take(Y))!
  expect(first.edus).toHaveLength(2)
  await fail(Y, 100)
  expect(await take(Y)).toBeUndefined()
  await database.write((tx) => queueEdus(tx, [edu('a', true, 4), edu('b', false, 5)]))
  later(100)
  expect(await due()).toEqual(['y'])
  expect(await take(Y)).toEqual({ ...first, failures: 1 })
  const rows = await database.sql.selectFrom('federation_edus').select('content').orderBy('edu_nid').execute()
  expect(rows.map((row) => row.content)).toEqual(['{"value":3}', '{"value":5}'])
})

test('a destination that shows that it is alive rests no longer', async () => {
  const { database, member, message, take, fail, due } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await take(Y)
  expect(await database.write((tx) => endRest(tx, Y))).toBe(false)
  await fail(Y, HOUR)
  expect(await due()).toEqual([])
  expect(await database.write((tx) => endRest(tx, Y))).toBe(true)
  expect(await due()).toEqual(['y'])
  expect((await take(Y))?.failures).toBe(1)
})

test('of a destination that is down for long only the rooms are noted, and the latest event of each is sent first', async () => {
  const { database, member, message, take, finish, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  expect(await bodies(await take(Y))).toEqual(['one', 'two'])
  await fail(Y, 100)
  later(2 * HOUR)
  await message(ALICE, 'three')
  await take(Y)
  await fail(Y, 100)
  await message(ALICE, 'four')
  await message(ALICE, 'five')
  expect(await database.sql.selectFrom('federation_queue').selectAll().execute()).toEqual([])
  expect(await database.sql.selectFrom('federation_room_notes').selectAll().execute()).toHaveLength(1)
  later(100)
  const caughtUp = (await take(Y))!
  expect(await bodies(caughtUp)).toEqual(['five'])
  await message(ALICE, 'six')
  const next = (await finish(Y, caughtUp))!
  expect(await bodies(next)).toEqual(['six'])
  expect(await finish(Y, next)).toBeUndefined()
  await message(ALICE, 'seven')
  await message(ALICE, 'eight')
  expect(await bodies(await take(Y))).toEqual(['seven', 'eight'])
})

test('who was made to leave while the server was down learns of that, and of nothing later', async () => {
  const { member, message, take, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await take(Y)
  await fail(Y, 100)
  later(2 * HOUR)
  await member(DORA, 'ban', ALICE)
  await take(Y)
  await fail(Y, 100)
  await message(ALICE, 'secret')
  later(100)
  expect((await bodies(await take(Y)))?.sort()).toEqual(['ban', 'one'])
})

test('while federation is switched off rooms are only noted', async () => {
  const { database, member, message, take, bodies } = await setUp()
  await member(DORA, 'join')
  await database.write(lagAllDestinations)
  await message(ALICE, 'one')
  await message(ALICE, 'two')
  expect(await database.sql.selectFrom('federation_queue').selectAll().execute()).toEqual([])
  expect(await bodies(await take(Y))).toEqual(['two'])
})

test('a transaction that is refused is not sent again', async () => {
  const { database, member, message, take, fail, bodies, later } = await setUp()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  await database.write((tx) => queueEdus(tx, [{ destination: Y, type: 'm.test', content: {} }]))
  expect((await take(Y))?.edus).toHaveLength(1)
  await fail(Y, 100, { isRefused: true })
  later(100)
  const next = (await take(Y))!
  expect([await bodies(next), next.edus]).toEqual([['one'], []])
})

test('what another server made goes on only where the resident server has to send it, and not back', async () => {
  const { app, roomId, member, take, bodies } = await setUp()
  await member(DORA, 'join')
  await member(ZOE, 'join')
  const relay = (send: boolean) =>
    app.rooms.run(roomId, async (room) => {
      const event = await appendEvent(app, room, {
        type: 'm.room.member',
        state_key: ERIC,
        sender: ERIC,
        content: { membership: 'join', displayname: String(send) },
      })
      room.outgoing = []
      if (send) room.outgoing.push(event.event_nid)
    })
  await relay(false)
  await relay(true)
  expect((await take(Z))?.events).toHaveLength(1)
  expect(await bodies(await take(Y))).toEqual(['join'])
})

test('the process that queued something hears for whom', async () => {
  const { database, member, message } = await setUp()
  const listener = vi.fn()
  const stop = onQueued(database, listener)
  await message(ALICE, 'alone')
  expect(listener).not.toHaveBeenCalled()
  await member(DORA, 'join')
  await message(ALICE, 'one')
  expect(listener.mock.calls).toEqual([[['y']]])
  await database.write((tx) => queueEdus(tx, [{ destination: Z, type: 'm.test', content: {} }]))
  expect(listener).toHaveBeenLastCalledWith(['z'])
  stop()
})
