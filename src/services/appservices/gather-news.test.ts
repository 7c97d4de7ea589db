import { expect, onTestFinished, test } from 'vitest'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import { ALICE, CAROL } from '../../testing/reading-room.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { gatherNews } from './gather-news.ts'
import type { Interest } from './interest.ts'

const ROOM = '!room:hearth.test' as RoomId
/** Carol belongs to the application service, and the room is of interest. */
const interest: Interest = {
  hasUser: (userId) => userId === CAROL,
  hasRoom: (roomId) => roomId === ROOM,
  membersOf: () => 1,
  moveMember() {},
  async refreshAliases() {},
  mayConcern: () => true,
}

async function listsIn(...rows: { user_id: UserId; room_id?: RoomId; detail: string | null }[]) {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const stream = rows.map((row, i): StreamRow => {
    return { stream_position: i + 1, kind: 'device_list', room_id: null, ref: null, ...row } as StreamRow
  })
  const { ownLists, changedLists } = await gatherNews(
    database,
    { appserviceId: 'bridge', interest },
    { rows: stream, to: rows.length, bytes: 1000 },
  )
  return { own: [...ownLists], others: [...changedLists] }
}

test('it gets changed keys of its users and of users in its rooms', async () => {
  const lists = await listsIn(
    { user_id: CAROL, detail: 'device D' },
    { user_id: ALICE, room_id: ROOM, detail: null },
    { user_id: ALICE, room_id: '!other:hearth.test' as RoomId, detail: null },
  )
  expect(lists).toEqual({ own: [CAROL], others: [ALICE] })
})

test('devices without keys, and signatures by its users, are not sent', async () => {
  const lists = await listsIn(
    { user_id: CAROL, detail: 'keyless D' },
    { user_id: CAROL, detail: `signatures ${ALICE}` },
  )
  expect(lists).toEqual({ own: [], others: [] })
})

test.each([
  [
    'receipts',
    (place: number) => ({ kind: 'receipt', room_id: ROOM, ref: place, detail: `@user${place}:hearth.test` }),
  ],
  ['private receipts of its users', (place: number) => ({ kind: 'receipt', user_id: CAROL, ref: place, detail: ROOM })],
  ['typing', () => ({ kind: 'typing', room_id: ROOM, detail: ALICE })],
])('of many %s, the rest is for the next transaction', async (_, row) => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  const rows = Array.from(
    { length: 150 },
    (_, place) =>
      ({
        stream_position: place + 1,
        room_id: null,
        user_id: null,
        ref: null,
        ...row(place),
      }) as StreamRow,
  )
  const reader = { appserviceId: 'bridge', interest }
  expect((await gatherNews(database, reader, { rows, to: 150, bytes: 1000 })).position).toBe(100)
  const rest = await gatherNews(database, reader, { rows: rows.slice(100), to: 150, bytes: 1000 })
  expect(rest.position).toBe(150)
})
