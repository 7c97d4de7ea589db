import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testEvent } from '../../core/auth-rules/testing/test-event.ts'
import type { Json } from '../../core/events/pdu.ts'
import type { EventId } from '../../core/ids.ts'
import { APPLY_EARLY_REDACTIONS, noteEarlyRedaction } from '../../storage/early-redactions.ts'
import { loadEventsById } from '../../storage/events.ts'
import { storeOutliers } from '../../storage/outliers.ts'
import { findMembership } from '../../storage/room-memberships.ts'
import { findRoom } from '../../storage/room-summaries.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'
import { applyEarly, REPAIR_REDACTIONS, repairRedactions } from './repair-redactions.ts'
import { ALICE, BOB, createReadingApp, createReadingRoom, type ReadingApp } from './test-reading-room.ts'

let app: ReadingApp
beforeAll(async () => {
  app = await createReadingApp()
})
afterAll(() => app.database.close())

const now = async (event: StoredEvent) => (await loadEventsById(app.database, [event.event_id]))[0]!
const jobsOf = async (kind: string) =>
  (await sql<{ payload: string }>`select payload from jobs where kind = ${kind}`.execute(app.database.sql)).rows.map(
    ({ payload }) => JSON.parse(payload) as Json,
  )

/** Empties an event and nothing else, as Hearth did before. */
async function redactAsBefore(event: StoredEvent, by: EventId, content: object = {}): Promise<void> {
  const json = JSON.stringify({ ...event.pdu, content })
  await sql`update events set json = ${json}, redacted_by = ${by} where event_id = ${event.event_id}`.execute(
    app.database.sql,
  )
  app.database.caches.events.clear()
}

/** Runs the job to its end; returns how many slices that took. */
async function repair(): Promise<number> {
  let payload: Json = { after: 0 }
  for (let slices = 1; ; slices++) {
    await sql`delete from jobs`.execute(app.database.sql)
    await repairRedactions(app as never, payload)
    const [next] = await jobsOf(REPAIR_REDACTIONS)
    if (next === undefined) return slices
    payload = next
  }
}

test('what redacted state had left in lists of rooms and members is taken out', async () => {
  const room = await createReadingRoom(app)
  const name = await room.state('m.room.name', { name: 'Abuse' })
  const old = await room.state('m.room.topic', { topic: 'Old' })
  await room.state('m.room.topic', { topic: 'New' })
  const encryption = await room.state('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' })
  const bob = await room.member(BOB, 'join', BOB, { displayname: 'Abuse', avatar_url: 'mxc://a.b/c' })
  const message = await room.message(ALICE, 'why')
  for (const event of [name, old, encryption]) await redactAsBefore(event, message.event_id)
  await redactAsBefore(bob, message.event_id, { membership: 'join' })
  await repair()
  expect(await findRoom(app.database, room.roomId)).toMatchObject({ name: null, topic: 'New', encryption: null })
  expect(await findMembership(app.database, room.roomId, BOB)).toMatchObject({
    ...{ membership: 'join', displayname: null, avatar_url: null },
  })
  const { rows } = await sql<{ is_encrypted: boolean }>`select is_encrypted from room_lists
    where room_id = ${room.roomId}`.execute(app.database.sql)
  expect(rows.map((row) => row.is_encrypted)).toEqual([false, false])
})

test('a redaction of a redaction takes effect, and one that does not hold is withheld', async () => {
  const room = await createReadingRoom(app)
  const other = await createReadingRoom(app)
  const [message, foreign] = [await room.message(ALICE, 'hi'), await other.message(ALICE, 'hi')]
  const first = await room.redact(ALICE, message.event_id)
  const second = await room.redact(ALICE, first.event_id)
  const bad = await room.redact(ALICE, message.event_id)
  await sql`update events set redacted_by = null, json = ${JSON.stringify(first.pdu)} where event_id = ${first.event_id}`.execute(
    app.database.sql,
  )
  const pdu = { ...bad.pdu, content: { redacts: foreign.event_id } }
  await sql`update events set json = ${JSON.stringify(pdu)} where event_id = ${bad.event_id}`.execute(app.database.sql)
  app.database.caches.events.clear()
  await repair()
  expect(await now(first)).toMatchObject({ redacted_by: second.event_id, soft_failed: false })
  expect(await now(second)).toMatchObject({ redacted_by: null, soft_failed: false })
  expect(await now(bad)).toMatchObject({ soft_failed: true })
  expect(await now(foreign)).toMatchObject({ redacted_by: null })
})

test('many events are looked through in slices', async () => {
  const room = await createReadingRoom(app)
  const name = await room.state('m.room.name', { name: 'Abuse' })
  await sql`insert into events (event_nid, event_id, room_id, type, sender, origin_server_ts, depth, json)
    select -n, '$filler' || n, ${room.roomId}, 'm.room.message', ${ALICE}, 1, 1, '{}' from generate_series(1, 30000) as n`.execute(
    app.database.sql,
  )
  await redactAsBefore(name, name.event_id)
  const now = () => {
    app.clock.advance(200)
    return app.clock.now()
  }
  const ticking = { ...app, clock: { now } }
  let payload: Json = { after: -30001 }
  let slices = 0
  for (; payload !== undefined; slices++) {
    await sql`delete from jobs`.execute(app.database.sql)
    await repairRedactions(ticking as never, payload)
    payload = (await jobsOf(REPAIR_REDACTIONS))[0] as Json
  }
  expect(slices).toBeGreaterThan(2)
  expect(await findRoom(app.database, room.roomId)).toMatchObject({ name: null })
  await sql`delete from events where event_nid < 0`.execute(app.database.sql)
})

test('an event that becomes known outside of the timeline is emptied by what had redacted it before', async () => {
  const room = await createReadingRoom(app)
  const event_id = '$late:x' as EventId
  const message = await room.message(ALICE, 'x')
  const redaction = await room.redact(ALICE, message.event_id)
  await sql`update events set soft_failed = true where event_id = ${redaction.event_id}`.execute(app.database.sql)
  app.database.caches.events.clear()
  await app.database.write((tx) => noteEarlyRedaction(tx, { redacts: event_id, event_id: redaction.event_id }))
  const late = testEvent({
    event_id,
    room_id: room.roomId,
    type: 'm.room.message',
    sender: ALICE,
    content: { body: 'x' },
  })
  await app.database.write((tx) => storeOutliers(tx, app.takeNids, [late]))
  const [job] = await jobsOf(APPLY_EARLY_REDACTIONS)
  await applyEarly(app, job!)
  const [stored] = await loadEventsById(app.database, [event_id])
  expect(stored).toMatchObject({ redacted_by: redaction.event_id, pdu: { content: {} } })
  const released = await now(redaction)
  expect(released.soft_failed).toBe(false)
  expect(released.event_order).toBeGreaterThan(redaction.event_order!)
})
