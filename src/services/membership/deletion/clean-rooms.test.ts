import { afterEach, expect, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { RoomId } from '../../../core/ids.ts'
import { fixedClock } from '../../../infra/clock.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import { START } from '../../../testing/create-test-app.ts'
import { act, brief, send, setState, startSyncApi, sync, syncSince } from '../../../testing/sync-requests.ts'
import { beginWhenDue, CLEAN_ROOMS } from './clean-rooms.ts'
import { countExpiredMessages } from './count-expired.ts'

const DAY = 24 * 3_600_000
const clock = fixedClock(START)

let api: Awaited<ReturnType<typeof startSyncApi>>
afterEach(() => api.close())

async function start(retention: object): Promise<TestClient> {
  api = await startSyncApi({ clock, config: { retention } })
  return api.client('alice')
}

const tasks = () =>
  listTasks(api.app.database, { action: CLEAN_ROOMS, resourceId: null, statuses: null, until: null }, 10)

/** Runs the task if it is due, and returns what it did. */
async function clean(): Promise<object | undefined> {
  const before = (await tasks()).length
  await beginWhenDue(api.app)
  if ((await tasks()).length === before) return undefined
  const done = await pollUntil('rooms are cleaned', async () => {
    const [task] = await tasks()
    return task?.status === 'complete' && task
  })
  return JSON.parse(done.result)
}

async function wordsIn(client: TestClient, roomId: RoomId): Promise<string[]> {
  const { chunk } = await client.ok('GET', `/rooms/${roomId}/messages?dir=f&limit=100`)
  return chunk.flatMap(({ content }: { content: { body?: string } }) => content.body ?? [])
}

async function storedMessages(roomId: RoomId): Promise<number> {
  const { count } = await api.app.database.sql
    .selectFrom('events')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('room_id', '=', roomId)
    .where('state_key', 'is', null)
    .executeTakeFirstOrThrow()
  return count
}

test('messages expire as their room says: hidden at once, deleted with the next run', async () => {
  const alice = await start({ enabled: true })
  const [short, kept] = [await alice.createRoom(), await alice.createRoom()]
  for (const roomId of [short, kept]) await send(alice, roomId, 'old')
  const { next_batch: since } = await sync(alice)
  clock.advance(3 * DAY)
  for (const roomId of [short, kept]) await send(alice, roomId, 'new')
  await setState(alice, short, 'm.room.retention', { max_lifetime: 2 * DAY })
  expect(await wordsIn(alice, short)).toEqual(['new'])
  expect(await wordsIn(alice, kept)).toEqual(['old', 'new'])
  expect(brief((await sync(alice)).rooms.join[short].timeline)).not.toContain('old')
  expect(brief((await syncSince(alice, since)).rooms.join[short].timeline)).toEqual(['new', 'm.room.retention'])
  expect(await countExpiredMessages(api.app)).toMatchObject({
    ...{ enabled: true, messages: 1, abandoned_rooms: [], is_limited: false },
    rooms: [{ room_id: short, lifetime: 2 * DAY, messages: 1 }],
  })
  expect(await storedMessages(short)).toBe(2)

  expect(await clean()).toEqual({ messages_deleted: 1, rooms_cleaned: 1, rooms_deleted: 0 })
  expect([await storedMessages(short), await storedMessages(kept)]).toEqual([1, 2])
  expect(await clean()).toBeUndefined()
  await setState(alice, short, 'm.room.retention', {})
  clock.advance(3 * DAY)
  expect(await clean()).toMatchObject({ messages_deleted: 0 })
  expect(await wordsIn(alice, short)).toEqual(['new'])
})

test('without an answer of the room, messages expire as the server says', async () => {
  const alice = await start({ enabled: true, default_lifetime: '10d' })
  const roomId = await alice.createRoom()
  await send(alice, roomId, 'old')
  clock.advance(11 * DAY)
  await send(alice, roomId, 'new')
  expect(await clean()).toMatchObject({ messages_deleted: 1 })
  expect(await wordsIn(alice, roomId)).toEqual(['new'])
})

test('the count says what another lifetime would delete, also while nothing expires', async () => {
  const alice = await start({})
  const roomId = await alice.createRoom()
  await setState(alice, roomId, 'm.room.retention', { max_lifetime: 2 * DAY })
  await send(alice, roomId, 'old')
  clock.advance(4 * DAY)
  await send(alice, roomId, 'new')
  const other = await alice.createRoom()
  await send(alice, other, 'old')
  clock.advance(5 * DAY)
  expect(await countExpiredMessages(api.app)).toMatchObject({ enabled: false, messages: 2 })
  expect(await countExpiredMessages(api.app, 4 * DAY)).toMatchObject({ messages: 3 })
  expect(await wordsIn(alice, roomId)).toEqual(['old', 'new'])
  expect(await clean()).toBeUndefined()
})

test('rooms that all local users have left are deleted after the time', async () => {
  const alice = await start({ abandoned_rooms: '7d' })
  const bob = await api.client('bob')
  const [left, invited, used] = [await alice.createRoom(), await alice.createRoom(), await alice.createRoom()]
  await act(alice, invited, 'invite', bob)
  for (const roomId of [left, invited]) await act(alice, roomId, 'leave')
  clock.advance(6 * DAY)
  expect(await clean()).toMatchObject({ rooms_deleted: 0 })
  clock.advance(2 * DAY)
  expect(await countExpiredMessages(api.app)).toMatchObject({ abandoned_rooms: [left] })
  expect(await clean()).toMatchObject({ rooms_deleted: 1 })
  await pollUntil('the room is gone', async () => (await findRoomHead(api.app.database, left)) === undefined)
  for (const roomId of [invited, used]) expect(await findRoomHead(api.app.database, roomId)).toBeDefined()
})
