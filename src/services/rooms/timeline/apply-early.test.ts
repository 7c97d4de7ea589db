import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import type { Json } from '../../../core/pdu.ts'
import { APPLY_EARLY_REDACTIONS, noteEarlyRedaction } from '../../../storage/rooms/timeline/early-redactions.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { storeOutliers } from '../../../storage/rooms/timeline/outliers.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { testEvent } from '../../../testing/auth-rules/test-event.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { applyEarly } from './apply-early.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const now = async (event: StoredEvent) => (await loadEventsById(app.database, [event.event_id]))[0]!
const jobsOf = async (kind: string) =>
  (await sql<{ payload: string }>`select payload from jobs where kind = ${kind}`.execute(app.database.sql)).rows.map(
    ({ payload }) => JSON.parse(payload) as Json,
  )

test('an event that becomes known outside of the timeline is emptied by what had redacted it before', async () => {
  const room = await createReadingRoom(app)
  const event_id = '$late:hearth.test' as EventId
  const message = await room.message(ALICE, 'x')
  const redaction = await room.redact(ALICE, message.event_id)
  await sql`update events set soft_failed = true where event_id = ${redaction.event_id}`.execute(app.database.sql)
  app.database.caches.events.clear()
  await app.database.write((tx) =>
    noteEarlyRedaction(tx, { redacts: event_id, event_id: redaction.event_id, room_id: room.roomId }),
  )
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
