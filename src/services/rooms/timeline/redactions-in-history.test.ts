import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { type AppWithRemote, BORIS, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'
import { clientOf } from '../../../testing/sync-client.ts'
import { appendRemoteEvent } from './append-remote-event.ts'

/** Redactions that this server fetches when it fills a gap of the timeline, after the events that they redact. */
let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.close())

async function createRoom() {
  const room = await createSharedRoom(app)
  const client = clientOf(app, ALICE)
  let order = 0
  return {
    ...room,
    async send(content: JsonObject, state_key?: string): Promise<EventId> {
      const type = state_key === undefined ? 'm.room.message' : 'm.room.member'
      const event = await room.make({ type, content, ...(state_key !== undefined && { state_key }) })
      await room.receive(event)
      return event.event_id
    },
    async redactInHistory(redacts: EventId): Promise<void> {
      const redaction = await room.make({ type: 'm.room.redaction', content: { redacts } })
      const { outcome } = await app.rooms.run(room.roomId, (locked) =>
        appendRemoteEvent(app, locked, redaction, { historyOrder: --order }),
      )
      expect(outcome).toBe('accepted')
    },
    /** Returns Alice's room in her next sync. */
    sync: async () => (await client.sync()).rooms?.join?.[room.roomId],
  }
}

test('a message that a redaction in history has emptied is no longer unread', async () => {
  const room = await createRoom()
  const bad = await room.send({ msgtype: 'm.text', body: 'bad' })
  await room.send({ msgtype: 'm.text', body: 'good' })
  expect((await room.sync()).unread_notifications.notification_count).toBe(2)
  await room.redactInHistory(bad)
  await room.send({ msgtype: 'm.text', body: 'next' })
  expect((await room.sync()).unread_notifications.notification_count).toBe(2)
})

const MEMBER = { membership: 'join', displayname: 'Abuse' }
/** Returns Boris's member event in the state of a synced room. */
const borisIn = (room: {
  state: { events: { type: string; state_key: string; event_id: string; content: object }[] }
}) => room.state.events.filter(({ type, state_key }) => type === 'm.room.member' && state_key === BORIS)

test('current state that a redaction in history has emptied comes with the next sync, and once', async () => {
  const room = await createRoom()
  const member = await room.send(MEMBER, BORIS)
  await room.sync()
  await room.redactInHistory(member)
  expect(borisIn(await room.sync())).toMatchObject([{ event_id: member, content: { membership: 'join' } }])
  await room.send({ body: 'next' })
  const next = await room.sync()
  expect(next.timeline.events).toHaveLength(1)
  expect(borisIn(next)).toEqual([])
})

test('current state that a redaction in history has emptied comes with later events of the same sync', async () => {
  const room = await createRoom()
  const member = await room.send(MEMBER, BORIS)
  await room.sync()
  await room.redactInHistory(member)
  await room.send({ body: 'next' })
  const told = await room.sync()
  expect(told.timeline.events).toHaveLength(1)
  const [boris] = borisIn(told)
  expect(boris).toMatchObject({ event_id: member })
  expect(boris?.content).not.toHaveProperty('displayname')
})

test('a redaction in history of anything else tells clients nothing', async () => {
  const room = await createRoom()
  const message = await room.send({ body: 'bad' })
  await room.sync()
  await room.redactInHistory(message)
  expect(await room.sync()).toBeUndefined()
})
