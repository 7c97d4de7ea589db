import { sql } from 'kysely'
import { afterEach, expect, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { RoomId } from '../../../core/ids.ts'
import { fixedClock } from '../../../infra/clock.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import { START } from '../../../testing/create-test-app.ts'
import { act, brief, send, setState, startSyncApi, sync, syncSince } from '../../../testing/sync-requests.ts'
import { listNotifications } from '../../push/list-notifications.ts'
import { beginWhenDue, CLEAN_ROOMS, cleanRooms } from './clean-rooms.ts'
import { countExpiredMessages } from './count-expired.ts'
import { DELETE_ROOM } from './delete-room.ts'

const DAY = 24 * 3_600_000
const PAGE = { deviceId: null, from: undefined, limit: 10, highlightsOnly: false }
type Notifications = { notifications: unknown[] }
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
  const [last] = await tasks()
  await beginWhenDue(api.app)
  const [begun] = await tasks()
  if (begun?.task_id === last?.task_id) return undefined
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
  // The newest message stays, and a run that deletes nothing has other processes evict nothing.
  clock.advance(11 * DAY)
  expect(await countExpiredMessages(api.app)).toMatchObject({ messages: 0, rooms: [] })
  const evictions = async () =>
    (await sql`select 1 from stream where kind = 'history_purged'`.execute(api.app.database.sql)).rows.length
  const before = await evictions()
  expect(await clean()).toMatchObject({ messages_deleted: 0 })
  expect(await evictions()).toBe(before)
})

test('expired messages are no notifications', async () => {
  const alice = await start({ enabled: true, default_lifetime: '10d' })
  const bob = await api.client('bob')
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await act(bob, roomId, 'join')
  await send(alice, roomId, 'old')
  const listed = async () => (await listNotifications(api.app, { ...PAGE, userId: bob.userId })) as Notifications
  expect((await listed()).notifications).toHaveLength(1)
  clock.advance(11 * DAY)
  expect((await listed()).notifications).toEqual([])
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
  await send(alice, other, 'new')
  // The newest message of a room stays, also if it has expired.
  expect(await countExpiredMessages(api.app)).toMatchObject({ enabled: false, messages: 1 })
  expect(await countExpiredMessages(api.app, 4 * DAY)).toMatchObject({ messages: 2 })
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
  expect(await findRoomHead(api.app.database, left)).toBeUndefined()
  for (const roomId of [invited, used]) expect(await findRoomHead(api.app.database, roomId)).toBeDefined()
})

test('abandoned rooms are deleted a few at a time', async () => {
  const alice = await start({ abandoned_rooms: '7d' })
  const { app } = api
  const rooms = await Promise.all(Array.from({ length: 6 }, () => alice.createRoom()))
  for (const roomId of rooms) await act(alice, roomId, 'leave')
  clock.advance(8 * DAY)
  const counts: number[] = []
  const attend = async (job: number) => {
    const { rows } = await sql`select 1 from jobs where kind = ${DELETE_ROOM}`.execute(app.database.sql)
    counts.push(rows.length)
    await app.jobs.attend(job)
  }
  await cleanRooms({ ...app, jobs: { ...app.jobs, begin: () => {}, attend } }, { task_id: 'of this test' })
  for (const roomId of rooms) expect(await findRoomHead(app.database, roomId)).toBeUndefined()
  expect(Math.max(...counts)).toBeLessThanOrEqual(4)
})
