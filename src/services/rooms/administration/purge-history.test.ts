import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { App } from '../../../app.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import { act, brief, send, setState, startSyncApi, sync, syncSince, tokenOf } from '../../../testing/sync-requests.ts'
import { catchUpIndex } from '../../search/index-stream.ts'
import { findPurge, PURGE_HISTORY, purgeHistory, runHistoryPurge } from './purge-history.ts'

let api: Awaited<ReturnType<typeof startSyncApi>>
let alice: TestClient
let bob: TestClient
beforeAll(async () => {
  api = await startSyncApi()
  ;[alice, bob] = [await api.client('alice'), await api.client('bob')]
})
afterAll(() => api.close())

/** Creates a room of Alice and Bob with messages of both and a topic in the middle; returns their events. */
async function usedRoom(count = 4): Promise<{ roomId: RoomId; sent: string[] }> {
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await act(bob, roomId, 'join')
  const sent: string[] = []
  for (let i = 0; i < count; i++) {
    if (i === count / 2) await setState(alice, roomId, 'm.room.topic', { topic: 'half' })
    sent.push(await send(i % 2 ? bob : alice, roomId, `word ${i}`))
  }
  return { roomId, sent }
}

async function purge(roomId: RoomId, upTo: { eventId: EventId } | { ts: number }, deleteLocal = true): Promise<void> {
  const id = await purgeHistory(api.app, { roomId, upTo, deleteLocal })
  await pollUntil('it is purged', async () => (await findPurge(api.app, id)).status === 'complete')
}

/** Returns the bodies of messages, and types of other events, oldest first. */
async function history(client: TestClient, roomId: RoomId): Promise<string[]> {
  const chunks: { type: string; content: { body?: string } }[] = []
  for (let from = ''; ; ) {
    const page = await client.ok('GET', `/rooms/${roomId}/messages?dir=b&limit=3${from}`)
    chunks.push(...page.chunk)
    if (page.end === undefined) return chunks.map(({ type, content }) => content.body ?? type).reverse()
    from = `&from=${page.end}`
  }
}

const words = (history: string[]) => history.filter((text) => text.startsWith('word'))

test('messages before an event are gone, with their search entries and rows in the stream; all else stays', async () => {
  const { app } = api
  const { roomId, sent } = await usedRoom()
  await catchUpIndex(app)
  const before = await history(bob, roomId)
  await purge(roomId, { eventId: sent[3] as EventId })
  expect(await history(bob, roomId)).toEqual(before.filter((text) => !/word [012]/.test(text)))
  expect((await bob.ask('GET', `/rooms/${roomId}/event/${sent[0]}`)).status).toBe(404)
  const left = async (table: string) =>
    (
      await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)} where room_id = ${roomId}
      and ${sql.ref(table === 'stream' ? 'ref' : 'event_nid')} not in (select event_nid from events)`.execute(
        app.database.sql,
      )
    ).rows[0]!.count
  expect([await left('search_events'), await left('notifications')]).toEqual([0, 0])
  const { rows } = await sql`select 1 from stream where room_id = ${roomId} and kind = 'event'
    and ref not in (select event_nid from events)`.execute(app.database.sql)
  expect(rows).toEqual([])
  await send(alice, roomId, 'word 4')
  expect(words(await history(bob, roomId))).toEqual(['word 3', 'word 4'])
})

test('events of local users stay unless they are asked for, and those of newer times too', async () => {
  const { roomId, sent } = await usedRoom()
  await purge(roomId, { eventId: sent[3] as EventId }, false)
  expect(words(await history(bob, roomId))).toHaveLength(4)
  const { origin_server_ts: ts } = await bob.ok('GET', `/rooms/${roomId}/event/${sent[2]}`)
  await purge(roomId, { ts })
  const left = words(await history(bob, roomId))
  expect(left).toEqual(['word 0', 'word 1', 'word 2', 'word 3'].slice(4 - left.length))
  expect(left.length).toBeLessThan(4)
})

test('the newest event stays, as the next one refers to it', async () => {
  const { roomId } = await usedRoom()
  await purge(roomId, { ts: Date.now() + 60_000 })
  expect(words(await history(bob, roomId))).toEqual(['word 3'])
  await send(alice, roomId, 'word 4')
  expect(words(await history(bob, roomId))).toEqual(['word 3', 'word 4'])
})

test('clients that were offline get the state that changed in the purged part', async () => {
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await act(bob, roomId, 'join')
  await send(alice, roomId, 'word 0')
  const since = await tokenOf(bob)
  const path = '/../unstable/org.matrix.simplified_msc3575/sync'
  const list = { ranges: [[0, 9]], timeline_limit: 2, required_state: [['m.room.topic', '']] }
  const { pos } = await bob.ok('POST', path, { lists: { all: list } })
  await setState(alice, roomId, 'm.room.topic', { topic: 'new' })
  for (let i = 1; i < 20; i++) await send(alice, roomId, `word ${i}`)
  const last = await send(alice, roomId, 'last')
  await purge(roomId, { eventId: last as EventId })
  const filter = { room: { timeline: { limit: 1 } } }
  const { timeline, state } = (await syncSince(bob, since, { filter })).rooms.join[roomId]
  expect(brief(timeline)).toEqual(['last'])
  expect(brief(state)).toEqual(['m.room.topic'])
  const sliding = (await bob.ok('POST', `${path}?pos=${pos}`, { lists: { all: list } })).rooms[roomId]
  expect(brief({ events: sliding.timeline })).toEqual(['m.room.topic', 'last'])
  expect((await sync(bob)).rooms.join[roomId].timeline.events.at(-1).content.body).toBe('last')
})

test('a purge that is interrupted goes on when its job runs again', async () => {
  const { app } = api
  const { roomId, sent } = await usedRoom()
  const waiting = { ...app, jobs: { ...app.jobs, begin: () => {} } }
  const upTo = { eventId: sent[3] as EventId }
  const id = await purgeHistory(waiting, { roomId, upTo, deleteLocal: true })
  await sql`update jobs set due_ts = 9e15 where key = ${id}`.execute(app.database.sql)
  const { rows } = await sql<{ payload: string }>`select payload from jobs where kind = ${PURGE_HISTORY}
    and key = ${id}`.execute(app.database.sql)
  const job = JSON.parse(rows[0]!.payload)
  for (let transactions = 1; transactions < 4; transactions++)
    await expect(runHistoryPurge(stoppingAfter(app, transactions), job)).rejects.toThrow('the server stops')
  expect((await findPurge(app, id)).status).toBe('active')
  await expect(purgeHistory(waiting, { roomId, upTo, deleteLocal: true })).rejects.toMatchObject({ status: 400 })
  await runHistoryPurge(app, job)
  expect(await findPurge(app, id)).toEqual({ status: 'complete' })
  const task = await sql<{ result: string }>`select result from tasks where task_id = ${id}`.execute(app.database.sql)
  expect(JSON.parse(task.rows[0]!.result)).toEqual({ events_deleted: 3 })
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

test.each([
  ['an unknown event', { eventId: '$unknown:x' as EventId }, 404],
  ['a time before all events', { ts: 1 }, 404],
  ['nothing', undefined, 400],
])('refuses %s', async (_, upTo, status) => {
  const { roomId } = await usedRoom(0)
  await expect(purgeHistory(api.app, { roomId, upTo, deleteLocal: true })).rejects.toMatchObject({ status })
})
