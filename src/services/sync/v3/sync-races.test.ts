import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../../testing/postgres.ts'
import { parseFilter } from '../../../core/filters/filter-schema.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { systemClock } from '../../../infra/clock.ts'
import { migrate } from '../../../storage/engine/migrate.ts'
import { openDatabase } from '../../../storage/engine/open-database.ts'
import { createRoomTransactions } from '../../../storage/rooms/room-transactions.ts'
import { loadTimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import { insertUser } from '../../../storage/users/users.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import type { SyncBody } from '../../../testing/sync-client.ts'
import { appendEvent } from '../../rooms/timeline/append-event.ts'
import type { NewEvent } from '../../rooms/timeline/new-event.ts'
import { type SyncCommand, sync } from './sync.ts'

const ALICE = '@alice:hearth.test' as UserId
const BOB = '@bob:hearth.test' as UserId
const WRITERS = 12
const MESSAGES = 25
const ROOMS = 8

let postgres: TestPostgres
let first: Process
let second: Process
beforeAll(async () => {
  postgres = await startPostgres()
  const url = await postgres.createDatabase()
  first = await startProcess(url)
  second = await startProcess(url)
  await first.database.write(async (tx) => {
    for (const user_id of [ALICE, BOB])
      await insertUser(tx, { user_id, password_hash: null, is_admin: false, is_guest: false, created_ts: 0 })
  })
})
afterAll(async () => {
  for (const process of [first, second]) await process.close()
  await postgres.stop()
})

/** Starts one of several processes that share a database. */
async function startProcess(url: string) {
  let closed = false
  const reportError = (error: unknown) => {
    // PostgreSQL may stop before the last connections are closed.
    if (!closed) throw error
  }
  const database = await openDatabase({ url, folder: '', poolSize: 8, cacheBytes: 4_000_000, reportError })
  await migrate(database)
  const rooms = createRoomTransactions(database, {
    lanes: 3,
    serverName: 'hearth.test' as ServerName,
    clock: systemClock,
  })
  const app = await createTestApp({ database, rooms, clock: systemClock })
  return {
    ...app,
    append: (roomId: RoomId | null, event: NewEvent) => app.rooms.run(roomId, (room) => appendEvent(app, room, event)),
    async close() {
      closed = true
      await rooms.drained()
      await app.close()
      await database.close()
    },
  }
}

type Process = Awaited<ReturnType<typeof startProcess>>

async function createRoom(): Promise<RoomId> {
  const state = (
    roomId: RoomId | null,
    type: string,
    state_key: string,
    sender: UserId,
    content: NewEvent['content'],
  ) => first.append(roomId, { type, state_key, sender, content })
  const { room_id } = await state(null, 'm.room.create', '', ALICE, { room_version: '12' })
  await state(room_id, 'm.room.member', ALICE, ALICE, { membership: 'join' })
  await state(room_id, 'm.room.join_rules', '', ALICE, { join_rule: 'public' })
  await state(room_id, 'm.room.power_levels', '', ALICE, { state_default: 0 })
  await state(room_id, 'm.room.member', BOB, BOB, { membership: 'join' })
  return room_id
}

/** Writes through both processes, in all rooms concurrently; every fifth event changes the state. */
async function write(roomIds: readonly RoomId[]): Promise<void> {
  const writer = async (number: number) => {
    for (let i = 0; i < MESSAGES; i++) {
      const body = `${number}:${i}`
      const isState = i % 5 === 4
      await (number % 2 ? first : second).append(roomIds[(number + i) % roomIds.length]!, {
        type: isState ? 'org.state' : 'm.room.message',
        ...(isState && { state_key: `${number}` }),
        sender: number % 3 ? ALICE : BOB,
        content: { body },
      })
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)))
}

type Reader = { userId: UserId; processes: readonly Process[]; limit: number }
type Told = { order: string[]; gaps: { after: string | undefined; before: number }[]; state: Map<string, string> }

/** Syncs until the writers have stopped and there are no changes; requests alternate between processes. */
async function read({ userId, processes, limit }: Reader, isWriting: () => boolean): Promise<Map<RoomId, Told>> {
  const told = new Map<RoomId, Told>()
  let since: string | undefined
  for (let turn = 0; ; turn++) {
    const wasWriting = isWriting()
    const command: SyncCommand = {
      userId,
      deviceId: null,
      since,
      timeout: wasWriting ? 200 : 0,
      filter: parseFilter({ room: { timeline: { limit } } }),
      fullState: false,
      stateAfter: undefined,
      signal: new AbortController().signal,
    }
    const body = (await sync(processes[turn % processes.length]!, command)) as SyncBody
    since = body.next_batch
    for (const [roomId, room] of Object.entries(body.rooms?.join ?? {})) take(told, roomId as RoomId, room as SyncBody)
    if (!wasWriting && !body.rooms) return told
  }
}

function take(told: Map<RoomId, Told>, roomId: RoomId, { timeline, state }: SyncBody): void {
  const room: Told = told.get(roomId) ?? { order: [], gaps: [], state: new Map() }
  told.set(roomId, room)
  if (timeline.limited) room.gaps.push({ after: room.order.at(-1), before: Number(timeline.prev_batch.slice(3)) })
  for (const event of [...state.events, ...timeline.events]) {
    if (event.state_key !== undefined) room.state.set(`${event.type}|${event.state_key}`, event.event_id)
  }
  room.order.push(...timeline.events.map(({ event_id }: { event_id: string }) => event_id))
}

/** Syncs without waiting. */
async function ask(process: Process, since: string | undefined): Promise<SyncBody> {
  const command: SyncCommand = {
    userId: ALICE,
    deviceId: null,
    since,
    timeout: 0,
    filter: {},
    fullState: false,
    stateAfter: undefined,
    signal: new AbortController().signal,
  }
  return (await sync(process, command)) as SyncBody
}

async function timelineOf(roomId: RoomId) {
  const whole = { after: 0, before: Number.MAX_SAFE_INTEGER, direction: 'forwards', limit: 10_000 } as const
  return loadTimelinePage(first.database, { roomId, ...whole })
}

test('readers of any process miss nothing, see nothing twice and all in order, while others write', async () => {
  const roomIds = await Promise.all(Array.from({ length: ROOMS }, createRoom))
  const readers: Reader[] = [
    { userId: ALICE, processes: [first], limit: 1000 },
    { userId: BOB, processes: [second], limit: 1000 },
    { userId: BOB, processes: [first, second], limit: 1000 },
    { userId: ALICE, processes: [second, first], limit: 3 },
  ]
  let writing = true
  const reading = readers.map((reader) => read(reader, () => writing))
  await write(roomIds)
  writing = false
  const results = await Promise.all(reading)
  for (const roomId of roomIds) {
    const timeline = await timelineOf(roomId)
    const all = timeline.map((event) => event.event_id)
    const state = new Map(
      timeline.flatMap(({ pdu, event_id }) =>
        pdu.state_key === undefined ? [] : [[`${pdu.type}|${pdu.state_key}`, event_id] as const],
      ),
    )
    for (const [place, told] of results.entries()) {
      const room = told.get(roomId)!
      expect(room.state, `state as reader ${place} knows it`).toEqual(state)
      if (readers[place]!.limit === 1000) expect(room.order, `events of reader ${place}`).toEqual(all)
      else expect(withGapsFilled(room, all), `events and gaps of reader ${place}`).toEqual(all)
    }
  }
})

/** Returns the events of a reader, with its gaps filled. */
function withGapsFilled({ order, gaps }: Told, all: readonly string[]): string[] {
  const filled: string[] = []
  const starts = new Map(gaps.map((gap) => [all[gap.before], gap]))
  for (const eventId of order) {
    const gap = starts.get(eventId)
    if (gap) filled.push(...all.slice(gap.after === undefined ? 0 : all.indexOf(gap.after) + 1, gap.before))
    filled.push(eventId)
  }
  return filled
}

test('the sync after an initial sync continues where that ended, while others write', async () => {
  const roomIds = await Promise.all(Array.from({ length: ROOMS }, createRoom))
  let writing = true
  const newcomer = async (process: Process) => {
    const starts: [initial: SyncBody, next: SyncBody][] = []
    while (writing) {
      const initial = await ask(process, undefined)
      starts.push([initial, await ask(process, initial.next_batch)])
    }
    return starts
  }
  const newcomers = Promise.all([newcomer(first), newcomer(second)])
  await write(roomIds)
  writing = false
  const starts = (await newcomers).flat()
  expect(starts.length).toBeGreaterThan(5)
  for (const roomId of roomIds) {
    const all = (await timelineOf(roomId)).map((event) => event.event_id)
    const idsIn = (body: SyncBody) =>
      (body.rooms?.join?.[roomId]?.timeline.events ?? []).map(({ event_id }: { event_id: string }) => event_id)
    for (const [initial, next] of starts) {
      // On a busy machine more may be written in between than a timeline holds: the client gets a limited timeline.
      const isCut = next.rooms?.join?.[roomId]?.timeline.limited ?? false
      const told = isCut ? idsIn(next) : [...idsIn(initial), ...idsIn(next)]
      expect(told).toEqual(all.slice(all.indexOf(told[0]), all.indexOf(told.at(-1)) + 1))
    }
  }
})

test('an action through one process is in the next sync through another, without waiting', async () => {
  const roomId = await createRoom()
  let { next_batch: since } = await ask(first, undefined)
  for (let i = 0; i < 20; i++) {
    const [writer, reader] = i % 2 ? [first, second] : [second, first]
    const content = { body: `${i}` }
    const { event_id } = await writer.append(roomId, { type: 'm.room.message', sender: ALICE, content })
    const body = await ask(reader, since)
    expect(body.rooms.join[roomId].timeline.events).toMatchObject([{ event_id }])
    since = body.next_batch
  }
})
