import { expect, onTestFinished, test } from 'vitest'
import type { Appservice } from '../../core/appservice.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { type AppserviceClient, AppserviceSilence } from '../../infra/http/appservice-client.ts'
import { beginAppservice } from '../../storage/appservices/appservices.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { ALICE, CAROL, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import { createTransactionSender } from './transaction-sender.ts'

/** Carol belongs to the application service; Alice is an ordinary user. */
const bridge: Appservice = {
  id: 'bridge',
  url: 'http://bridge.test',
  asToken: 'as',
  hsToken: 'hs',
  sender: '@bridge:hearth.test' as UserId,
  namespaces: { users: [{ regex: /^(?:@carol)/, exclusive: true }], aliases: [], rooms: [] },
  isRateLimited: true,
  protocols: [],
  ephemeralKeys: [],
  receivesToDevice: false,
  acknowledgesToDevice: false,
  receivesDeviceLists: false,
}

/**
 * Creates a bridge with the transaction senders of several processes; while `isUp` is false it gets requests, and its
 * responses are lost.
 */
async function setUp() {
  const received: { txnId: string; body: string }[] = []
  const remote = { isUp: true }
  const appservices: AppserviceClient = {
    async request(_appservice, { path, body = '' }) {
      received.push({ txnId: path.replace('/transactions/', ''), body })
      if (!remote.isUp) throw new AppserviceSilence('bridge', new Error('down'))
      return { status: 200, text: '{}' }
    },
  }
  const app = await createTestApp({ users: PEOPLE, appservices })
  onTestFinished(() => app.close())
  await app.database.write((tx) => beginAppservice(tx, { appserviceId: 'bridge', position: 0, users: '' }))
  const process = () => createTransactionSender(app, bridge)
  const bodies = (of = received) =>
    of.flatMap(({ body }) =>
      JSON.parse(body).events.map((event: { content: { body?: string } }) => event.content.body ?? '-'),
    )
  return { app, received, remote, process, bodies, room: await createReadingRoom(app) }
}

async function rowsOfRoom(app: TestApp, roomId: RoomId) {
  return app.database.sql
    .selectFrom('stream')
    .selectAll()
    .where('room_id', '=', roomId)
    .orderBy('stream_position')
    .execute()
}

test('events from while its users were in the room are sent, even after they left', async () => {
  const { room, process, bodies } = await setUp()
  await room.message(ALICE, 'before')
  await room.member(CAROL, 'join')
  await room.message(ALICE, 'within')
  await room.member(CAROL, 'leave')
  await room.message(ALICE, 'after')
  const sender = process()
  await sender.drain()
  expect(bodies()).toEqual(['-', 'within', '-'])
  await room.message(ALICE, 'later')
  await sender.drain()
  expect(bodies()).toHaveLength(3)
})

test('a transaction stays the same until it is answered, whoever sends it', async () => {
  const { app, room, process, received, remote, bodies } = await setUp()
  const [first, second] = [process(), process()]
  await room.member(CAROL, 'join')
  await room.message(ALICE, '1')
  remote.isUp = false
  await first.drain()
  await room.message(ALICE, '2')
  // The first one backs off, and still holds the lease.
  await second.drain()
  expect(received).toHaveLength(1)
  app.clock.advance(10_000)
  remote.isUp = true
  await second.drain()
  expect(received[1]).toEqual(received[0])
  expect(bodies(received.slice(1))).toEqual(['-', '1', '2'])
  await first.drain()
  expect(received).toHaveLength(3)
})

test('the back-off grows while nothing is answered', async () => {
  const { app, room, process, received, remote } = await setUp()
  const sender = process()
  await room.member(CAROL, 'join')
  remote.isUp = false
  await sender.drain()
  for (const [tries, longest] of [1000, 2000, 4000].entries()) {
    app.clock.advance(longest / 2 - 1)
    await sender.drain()
    expect(received).toHaveLength(tries + 1)
    app.clock.advance(longest / 2 + 1)
    await sender.drain()
    expect(received).toHaveLength(tries + 2)
  }
})

test('rows that are of no interest are passed over without a look at the database', async () => {
  const { app, room, process } = await setUp()
  const sender = process()
  await sender.drain()
  const read = (await rowsOfRoom(app, room.roomId)).length
  await room.message(ALICE, 'dull')
  const fresh = async () => (await rowsOfRoom(app, room.roomId)).slice(read)
  expect(sender.concerns(await fresh())).toBe(false)
  await room.member(CAROL, 'join')
  const [, join] = await fresh()
  expect(sender.concerns([join!])).toBe(true)
  await sender.drain()
  await room.message(ALICE, 'of interest')
  expect(sender.concerns((await fresh()).slice(2))).toBe(true)
})
