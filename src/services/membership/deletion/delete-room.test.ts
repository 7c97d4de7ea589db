import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { listTasks } from '../../../storage/jobs/tasks.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import { act, send, setAccountData, startSyncApi, sync, syncSince, tokenOf } from '../../../testing/sync-requests.ts'
import { catchUpIndex } from '../../search/index-stream.ts'
import { DELETE_ROOM, deleteRoom, deleteRoomNow, findDeletion, listDeletions, runRoomDeletion } from './delete-room.ts'
import { type Shutdown, shutDownRoom } from './shut-down-room.ts'

let api: Awaited<ReturnType<typeof startSyncApi>>
let alice: TestClient
let bob: TestClient
beforeAll(async () => {
  api = await startSyncApi()
  ;[alice, bob] = [await api.client('alice'), await api.client('bob')]
})
afterAll(() => api.close())

const by = '@admin:hearth.test' as UserId
const HOW = {
  by,
  newRoomUserId: null,
  roomName: 'Gone',
  message: 'It is gone',
  block: false,
  purge: true,
  force: false,
}
const never = new AbortController().signal

/** Tables that keep rows of a deleted room: what administrators and users did, and what clients still have to learn. */
const KEPT = ['key_backup_sessions', 'reports', 'room_blocks', 'room_departures']

async function sharedRoom(options: object = {}): Promise<RoomId> {
  const roomId = await alice.createRoom({ preset: 'public_chat', ...options })
  await act(bob, roomId, 'join')
  return roomId
}

async function tablesOfRooms(): Promise<string[]> {
  const { rows } = await sql<{ table: string }>`select c.table_name as "table" from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and c.column_name = 'room_id' and t.table_type = 'BASE TABLE' order by 1`.execute(
    api.app.database.sql,
  )
  return rows.map(({ table }) => table)
}

async function tablesWith(roomId: RoomId): Promise<string[]> {
  const found: string[] = []
  for (const table of await tablesOfRooms()) {
    const result = await sql`select 1 from ${sql.table(table)} where room_id = ${roomId}`.execute(api.app.database.sql)
    if (result.rows.length > 0) found.push(table)
  }
  return found
}

type Column = { name: string; type: string }

/** Inserts a row of a room into a table: columns that must have a value get any that fits. */
async function fill(table: string, roomId: RoomId): Promise<void> {
  const { database } = api.app
  const { rows: columns } = await sql<Column>`select column_name as name, data_type as type
    from information_schema.columns where table_schema = 'public' and table_name = ${table}
      and (is_nullable = 'NO' or column_name = 'room_id') and column_default is null and is_identity = 'NO'`.execute(
    database.sql,
  )
  const { rows } = await sql<{ nid: number }>`select connection_nid as nid from sliding_connections limit 1`.execute(
    database.sql,
  )
  const known: Record<string, unknown> = {
    ...{ room_id: roomId, user_id: bob.userId, destination: 'remote', appservice_id: 'bridge' },
    connection_nid: rows[0]!.nid,
  }
  const byType: Record<string, unknown> = { boolean: false, bytea: Buffer.of(1), ARRAY: [], text: 'x' }
  const valueFor = ({ name, type }: Column) => known[name] ?? byType[type] ?? -1
  await sql`insert into ${sql.table(table)} (${sql.join(columns.map(({ name }) => sql.ref(name)))})
    values (${sql.join(columns.map(valueFor))}) on conflict do nothing`.execute(database.sql)
}

async function fillAllTables(roomId: RoomId): Promise<void> {
  const { database } = api.app
  await sql`insert into federation_destinations (destination, failures) values ('remote', 1) on conflict do nothing`.execute(
    database.sql,
  )
  await sql`insert into appservices (appservice_id, stream_position, users) values ('bridge', 0, '')
    on conflict do nothing`.execute(database.sql)
  const filled = await tablesWith(roomId)
  const left = [...filled, ...KEPT, 'room_removals']
  const empty = (await tablesOfRooms()).filter((table) => !left.includes(table))
  for (const table of empty) await fill(table, roomId)
}

/** Uses a room in many ways. */
async function use(roomId: RoomId): Promise<void> {
  const eventId = await send(alice, roomId, 'some words to find')
  for (let i = 0; i < 5; i++) await send(alice, roomId, `message ${i}`)
  await bob.ok('POST', `/rooms/${roomId}/receipt/m.read/${eventId}`, {})
  await setAccountData(bob, 'm.tag', { tags: {} }, roomId)
  const list = { ranges: [[0, 9]], timeline_limit: 1, required_state: [] }
  await bob.ok('POST', '/../unstable/org.matrix.simplified_msc3575/sync', { lists: { all: list } })
  await sync(bob)
  await catchUpIndex(api.app)
}

test('no table keeps a row of a deleted room, however often the deletion is interrupted', async () => {
  const { app } = api
  const roomId = await sharedRoom({ room_alias_name: 'doomed' })
  await use(roomId)
  await fillAllTables(roomId)
  const tables = new Set([...(await tablesWith(roomId)), ...KEPT, 'room_removals'])
  expect((await tablesOfRooms()).filter((table) => !tables.has(table))).toEqual([])
  const others = await tablesWith(await sharedRoom())

  // The job is run here, each time by a process that stops after some transactions.
  const { id } = await deleteRoom({ ...app, jobs: { ...app.jobs, begin: () => {} } }, { roomId, ...HOW })
  await sql`update jobs set due_ts = 9e15 where key = ${id}`.execute(app.database.sql)
  const payload = { task_id: id, room_id: roomId, new_room_user_id: null, room_name: '', message: '' }
  const job = { ...payload, purge: true, force: false }
  let interruptions = 0
  for (; (await findDeletion(app, id)).status !== 'complete'; interruptions++)
    await runRoomDeletion(stoppingAfter(app, 2 + interruptions), job).catch((error) =>
      expect(error.message).toBe('the server stops'),
    )
  expect(interruptions).toBeGreaterThan(5)
  expect((await tablesWith(roomId)).filter((table) => !KEPT.includes(table))).toEqual([])
  expect(await findDeletion(app, id)).toMatchObject({
    shutdown_room: { kicked_users: [alice.userId, bob.userId], failed_to_kick_users: [] },
  })
  expect(others.length).toBeGreaterThan(5)
  expect(app.database.caches.roomVersions.has(roomId)).toBe(false)
})

function stoppingAfter(app: App, transactions: number): App {
  const stopping = new AbortController()
  let left = transactions
  const write: App['database']['write'] = async (work) => {
    const result = await app.database.write(work)
    if (--left === 0) stopping.abort(new Error('the server stops'))
    stopping.signal.throwIfAborted()
    return result
  }
  return { ...app, database: { ...app.database, write }, stopping: stopping.signal }
}

describe('clients learn that a room was deleted', () => {
  test('that were offline, from the first sync after it, and once', async () => {
    const roomId = await sharedRoom()
    await send(alice, roomId, 'secret')
    const since = await tokenOf(bob)
    await deleteRoomNow(api.app, { roomId, ...HOW }, never)
    const { rooms, next_batch } = await syncSince(bob, since)
    expect(Object.keys(rooms)).toEqual(['leave'])
    const { timeline } = rooms.leave[roomId]
    const leave = { type: 'm.room.member', state_key: bob.userId, sender: bob.userId, content: { membership: 'leave' } }
    expect(timeline.events).toMatchObject([leave])
    expect((await syncSince(bob, next_batch)).rooms).toBeUndefined()
    expect((await sync(bob)).rooms?.join ?? {}).not.toHaveProperty(roomId)
  })

  test('by sliding sync', async () => {
    const roomId = await sharedRoom()
    const path = '/../unstable/org.matrix.simplified_msc3575/sync'
    const body = { lists: { all: { ranges: [[0, 99]], timeline_limit: 1, required_state: [['m.room.create', '']] } } }
    const { pos, rooms } = await bob.ok('POST', path, body)
    expect(rooms).toHaveProperty(roomId)
    await deleteRoomNow(api.app, { roomId, ...HOW }, never)
    const after = await bob.ok('POST', `${path}?pos=${pos}`, body)
    const leave = { state_key: bob.userId, content: { membership: 'leave' } }
    expect(after.rooms[roomId]).toMatchObject({ timeline: [leave], required_state: [leave] })
    expect((await bob.ok('POST', `${path}?pos=${after.pos}`, body)).rooms).not.toHaveProperty(roomId)
  })

  test('while they wait', async () => {
    const roomId = await sharedRoom()
    const since = await tokenOf(bob)
    const seen: object[] = []
    const watch = async () => {
      for (let token = since; seen.length === 0; ) {
        const { rooms, next_batch } = await syncSince(bob, token, { timeout: 10_000 })
        token = next_batch
        if (rooms?.leave?.[roomId]) seen.push(rooms.leave[roomId].timeline.events.at(-1).content)
      }
    }
    await Promise.all([watch(), deleteRoomNow(api.app, { roomId, ...HOW }, never)])
    expect(seen).toEqual([{ membership: 'leave' }])
  })
})

test('members move to the new room with the aliases, and read there why', async () => {
  const alias = '#moving:hearth.test'
  const roomId = await sharedRoom({ room_alias_name: 'moving' })
  const eve = await api.client('eve')
  const moving = { ...HOW, newRoomUserId: eve.userId, roomName: 'Read this', message: 'We have moved' }
  const moved = await deleteRoomNow(api.app, { roomId, ...moving }, never)
  const room = moved.new_room_id!
  expect(moved).toEqual({
    kicked_users: [alice.userId, bob.userId],
    failed_to_kick_users: [],
    local_aliases: [alias],
    new_room_id: room,
  })
  expect((await bob.ok('GET', `/directory/room/${encodeURIComponent(alias)}`)).room_id).toBe(room)
  const { timeline, state } = (await sync(bob)).rooms.join[room]
  const events: { type: string; content: Record<string, unknown> }[] = [...state.events, ...timeline.events]
  const contentOf = (type: string) => events.find((event) => event.type === type)?.content
  expect(contentOf('m.room.name')).toEqual({ name: 'Read this' })
  expect(contentOf('m.room.message')).toEqual({ msgtype: 'm.text', body: 'We have moved' })
  expect((await bob.ask('PUT', `/rooms/${room}/send/m.room.message/1`, { body: 'no' })).status).toBe(403)
})

test('without purge the room stays, hidden from its former members', async () => {
  const roomId = await sharedRoom()
  await deleteRoomNow(api.app, { roomId, ...HOW, purge: false, block: true }, never)
  expect(await tablesWith(roomId)).toContain('events')
  expect((await bob.ask('POST', `/rooms/${roomId}/join`, {})).status).toBe(403)
  const filter = { room: { include_leave: true } }
  expect((await sync(bob, { filter })).rooms?.leave ?? {}).not.toHaveProperty(roomId)
})

test('an abandoned room that somebody has entered in the meantime stays', async () => {
  const roomId = await sharedRoom()
  const unused = { ...HOW, by: null, unlessUsed: true }
  const nobody = { kicked_users: [], failed_to_kick_users: [], local_aliases: [], new_room_id: null }
  await act(alice, roomId, 'leave')
  expect(await deleteRoomNow(api.app, { roomId, ...unused }, never)).toEqual(nobody)
  expect((await bob.ask('PUT', `/rooms/${roomId}/send/m.room.message/1`, { body: 'here' })).status).toBe(200)
  await act(bob, roomId, 'leave')
  await deleteRoomNow(api.app, { roomId, ...unused }, never)
  expect(await tablesWith(roomId)).toEqual(['room_departures'])
})

test('a room that nobody here knows can be blocked, and two deletions of a room do not run at once', async () => {
  const { app } = api
  const roomId = '!elsewhere:remote' as RoomId
  const nobody = { kicked_users: [], failed_to_kick_users: [], local_aliases: [], new_room_id: null }
  expect(await deleteRoomNow(app, { roomId, ...HOW, block: true }, never)).toEqual(nobody)
  expect(await tablesWith(roomId)).toEqual(['room_blocks'])
  expect(await listDeletions(app, roomId)).toMatchObject([{ room_id: roomId, status: 'complete' }])
  const waiting = { ...app, jobs: { ...app.jobs, begin: () => {} } }
  const second = '!second:remote' as RoomId
  await deleteRoom(waiting, { roomId: second, ...HOW })
  await expect(deleteRoom(waiting, { roomId: second, ...HOW })).rejects.toMatchObject({ errcode: 'M_UNKNOWN' })
  const tasks = { action: DELETE_ROOM, resourceId: second, statuses: null, until: null }
  expect(await listTasks(app.database, tasks, 10)).toHaveLength(1)
})

test('the list of removed users is written rarely, so that large rooms are not slow', async () => {
  const { app } = api
  const roomId = await sharedRoom()
  const count = 400
  // They cannot leave: the state of the room does not have them.
  await sql`insert into users (user_id, created_ts) select '@many' || n || ':hearth.test', 0
    from generate_series(1, ${count}::int) as n`.execute(app.database.sql)
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid)
    select ${roomId}, '@many' || n || ':hearth.test', 'join', -1 from generate_series(1, ${count}::int) as n`.execute(
    app.database.sql,
  )
  const shutdown: Shutdown = { kicked_users: [], failed_to_kick_users: [], local_aliases: [], new_room_id: null }
  let written = 0
  const save = async () => {
    written += shutdown.kicked_users.length + shutdown.failed_to_kick_users.length
  }
  await shutDownRoom(app, roomId, { replacement: undefined, shutdown, save })
  expect(shutdown.kicked_users).toEqual([alice.userId, bob.userId])
  expect(shutdown.failed_to_kick_users).toHaveLength(count)
  expect(written).toBeLessThan(14 * count)
})
