import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../../../testing/poll-until.ts'
import type { ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { storeInInbox } from '../../../storage/federation/federation-inbox.ts'
import { beginRoomJoin, endRoomJoin } from '../../../storage/rooms/membership/room-joins.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { type AppWithRemote, createAppWithRemote, createSharedRoom, REMOTE } from '../../../testing/remote-server.ts'
import type { Inbox } from './inbox.ts'
import { createInbox } from './work-inbox.ts'

let app: AppWithRemote
let inbox: Inbox
beforeAll(async () => {
  app = await createAppWithRemote()
  // Each back-off takes the mean of its random time.
  const random = { ...app.random, bytes: (count: number) => Buffer.alloc(count, 128) }
  inbox = createInbox({ ...app, random }, AT_ONCE)
})
afterAll(() => app.database.close())

type Room = Awaited<ReturnType<typeof createSharedRoom>>
const AT_ONCE = 3
const ELSE = 'else' as ServerName

async function isStored(event: Event): Promise<boolean> {
  const [stored] = await loadEventsById(app.database, [event.event_id])
  return stored !== undefined && stored.event_order !== null
}

/** Receives an event through a server. */
async function arrive(event: Event, origin: ServerName, { isEarly = false } = {}): Promise<void> {
  const { event_id, room_id } = event
  const row = { event_id, room_id, origin, pdu: JSON.stringify(event.pdu), is_early: isEarly }
  await app.database.write((tx) => storeInInbox(tx, [row], app.clock.now()))
  await inbox.look()
}

/** Creates two events of which the first does not arrive, and answers requests for it. */
async function gapIn(room: Room): Promise<{ missing: Event; late: Event }> {
  const missing = await room.make({ content: { body: 'missing' } })
  return { missing, late: await room.make({ content: { body: 'late' }, prev_events: [missing.event_id] }) }
}

async function waitingFor(event: Event): Promise<{ attempts: number; retry_ts: number } | undefined> {
  const { rows } = await sql<{ attempts: number; retry_ts: number }>`select attempts, retry_ts from federation_inbox
    where event_id = ${event.event_id}`.execute(app.database.sql)
  return rows[0]
}

/** Polls like the server, once per second. */
function pollLooking(what: string, holds: () => Promise<boolean>): Promise<boolean> {
  return pollUntil(what, async () => {
    await inbox.look()
    return holds()
  })
}

test('a server that does not answer holds up neither other rooms, however many it is asked about, nor others in its rooms', async () => {
  const rooms = await Promise.all(Array.from({ length: 3 * AT_ONCE }, () => createSharedRoom(app)))
  const other = await createSharedRoom(app)
  const gaps = await Promise.all(rooms.map(gapIn))
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  app.answerWith(async ({ path }) => {
    await released
    const gap = gaps.find(({ late }) => path.includes(encodeURIComponent(late.room_id)))
    return path.includes('/get_missing_events/') ? { events: [gap!.missing.pdu] } : undefined
  })
  for (const { late } of gaps) await arrive(late, REMOTE)
  const elsewhere = await other.make()
  await arrive(elsewhere, REMOTE)
  await pollLooking('another room goes on', () => isStored(elsewhere))
  const here = await rooms[0]!.make()
  await arrive(here, ELSE)
  await pollLooking('another server is heard in the same room', () => isStored(here))
  expect(await isStored(gaps[0]!.late)).toBe(false)
  release()
  for (const { late, missing } of gaps) {
    await pollLooking('what was missing is here', async () => (await isStored(late)) && isStored(missing))
  }
  await inbox.idle()
})

test('an event whose references are unavailable is retried with back-off, and dropped after an hour', async () => {
  const room = await createSharedRoom(app)
  const { late } = await gapIn(room)
  const next = await room.make({ content: { body: 'next' }, prev_events: [late.event_id] })
  app.answerWith(() => {
    throw new FederationError('it is down')
  })
  await arrive(late, REMOTE)
  await inbox.idle()
  await arrive(next, REMOTE)
  await inbox.idle()
  expect(await waitingFor(late)).toMatchObject({ attempts: 2 })
  const began = app.clock.now()
  while (await waitingFor(late)) {
    const { retry_ts } = (await waitingFor(late))!
    app.clock.advance(Math.max(0, retry_ts - app.clock.now()))
    await inbox.look()
    await inbox.idle()
  }
  const minutes = (app.clock.now() - began) / 60_000
  expect(minutes).toBeGreaterThan(45)
  expect(minutes).toBeLessThan(90)
  expect(await isStored(late)).toBe(false)
})

test('an event that arrives again during its back-off is retried at once', async () => {
  const room = await createSharedRoom(app)
  const { missing, late } = await gapIn(room)
  let isDown = true
  app.answerWith(async ({ path }) => {
    if (!isDown) return path.includes('/get_missing_events/') ? { events: [missing.pdu] } : undefined
    isDown = false
    await arrive(late, REMOTE)
    throw new FederationError('it is down')
  })
  await arrive(late, REMOTE)
  await inbox.idle()
  await pollLooking('it is here, though the clock stands still', () => isStored(late))
})

test('other servers in the room are asked for references that the sender does not return', async () => {
  const room = await createSharedRoom(app)
  const { missing, late } = await gapIn(room)
  app.answerWith(({ path, destination }) => {
    if (destination === ELSE) throw new FederationError('it is down')
    return path.includes('/get_missing_events/') ? { events: [missing.pdu] } : undefined
  })
  await arrive(late, ELSE)
  await inbox.idle()
  expect(await isStored(missing)).toBe(true)
  expect(await isStored(late)).toBe(true)
})

test('a lease that another process acquired while this one stood still is dropped', async () => {
  const room = await createSharedRoom(app)
  const { missing, late } = await gapIn(room)
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  app.answerWith(async ({ path }) => {
    await released
    return path.includes('/get_missing_events/') ? { events: [missing.pdu] } : undefined
  })
  await arrive(late, REMOTE)
  const takeOver = sql`update federation_inbox_rooms set leased_by = 'another' where room_id = ${room.roomId}`
  await app.database.write((tx) => takeOver.execute(tx.sql))
  release()
  await inbox.idle()
  const { rows } = await sql`select leased_by from federation_inbox_rooms where room_id = ${room.roomId}`.execute(
    app.database.sql,
  )
  expect(rows).toEqual([{ leased_by: 'another' }])
})

test('events that arrive during a join wait for it, and are dropped if their server may not send them', async () => {
  const room = await createSharedRoom(app)
  await room.state('m.room.server_acl', { allow: ['*'], deny: [ELSE] }, ALICE)
  const join = { roomId: room.roomId, joinId: 'one' }
  const other = { roomId: room.roomId, joinId: 'other' }
  const expiresTs = app.clock.now() + 60_000
  const version = ROOM_VERSIONS.get('11')!
  await app.database.write(async (tx) => {
    await beginRoomJoin(tx, { ...join, version, expiresTs })
    await beginRoomJoin(tx, { ...other, version, expiresTs })
  })
  const early = await room.make({ content: { body: 'early' } })
  const forbidden = await room.make({ content: { body: 'forbidden' } })
  await arrive(early, REMOTE, { isEarly: true })
  await arrive(forbidden, ELSE, { isEarly: true })
  await app.database.write((tx) => endRoomJoin(tx, join, app.clock.now()))
  await inbox.look()
  await inbox.idle()
  expect(await isStored(early)).toBe(false)
  await app.database.write((tx) => endRoomJoin(tx, other, app.clock.now()))
  await inbox.look()
  await inbox.idle()
  expect([await isStored(early), await isStored(forbidden)]).toEqual([true, false])
  expect(await waitingFor(forbidden)).toBeUndefined()
})
