import { sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { appendEvent } from '../../services/rooms/timeline/append-event.ts'
import { createTestApp } from '../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import { recountRoomServers } from '../rooms/membership/other-servers.ts'
import { loadEvents } from '../rooms/timeline/events.ts'
import { startCatchUpOfAllDestinations } from './destinations.ts'
import { catchUp, finishTransactions, type NextStep, takeTransactions } from './outgoing-transactions.ts'

const Y = 'y' as ServerName
const DORA = '@dora:y' as UserId

const app = await createTestApp({ users: PEOPLE })
afterAll(() => app.close())

async function sharedRoom() {
  const room = await createReadingRoom(app)
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid)
    values (${room.roomId}, ${DORA}, 'join', 0)`.execute(app.database.sql)
  await app.database.write((tx) => recountRoomServers(tx, app.serverName, [room.roomId]))
  return room
}

let number = 0
const lease = () => ({ holder: 'one', now: app.clock.now(), until: app.clock.now() + 10 })
const named = () => ({ destination: Y, txnId: `txn${++number}` })

/** Returns the texts of all events that the destination gets, transaction by transaction. */
async function drain(): Promise<string[][]> {
  const { database } = app
  let step: NextStep | undefined = (await database.write((tx) => takeTransactions(tx, lease(), [named()]))).get(Y)
  const all: string[][] = []
  for (;;) {
    while (step === 'catch up') step = await database.write((tx) => catchUp(tx, lease(), named()))
    if (!step) return all
    const sent = step
    const events = await loadEvents(database, sent.events)
    all.push(sent.events.map((nid) => String(events.get(nid)!.pdu.content.body)))
    step = (await database.write((tx) => finishTransactions(tx, lease(), [{ ...named(), sent }]))).get(Y)
  }
}

test('a server that was away gets every current sticky event of local users, not only the latest event', async () => {
  const { roomId } = await sharedRoom()
  const say = (body: string, sticky_ms?: number) =>
    app.rooms.run(roomId, async (room) => {
      await appendEvent(app, room, { type: 'm.room.message', sender: ALICE, content: { body }, sticky_ms })
    })
  await drain()
  await app.database.write((tx) => startCatchUpOfAllDestinations(tx))
  await say('expired', 1000)
  app.clock.advance(2000)
  const sticky = Array.from({ length: 70 }, (_, place) => `sticky ${place}`)
  for (const body of sticky) {
    await say(body, 60_000)
    await say('between')
  }
  await say('the latest', 60_000)
  const transactions = await drain()
  expect(transactions.every((bodies) => bodies.length <= 50)).toBe(true)
  expect(transactions[0]!.at(-1)).toBe('the latest')
  expect(transactions.flat().filter((body) => body !== 'the latest')).toEqual(sticky)
  expect(await drain()).toEqual([])
})
