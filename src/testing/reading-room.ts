import type { DeviceId, EventId, RoomId, UserId } from '../core/ids.ts'
import type { JsonObject } from '../core/pdu.ts'
import { appendEvent } from '../services/rooms/timeline/append-event.ts'
import type { NewEvent } from '../services/rooms/timeline/new-event.ts'
import type { StoredEvent } from '../storage/schema/stored-event.ts'
import type { TestApp } from './create-test-app.ts'

export const ALICE = '@alice:hearth.test' as UserId
export const BOB = '@bob:hearth.test' as UserId
export const CAROL = '@carol:hearth.test' as UserId
export const DEVICE = 'DEVICE' as DeviceId
/** Users of tests. */
export const PEOPLE = [ALICE, BOB, CAROL] as const

/** Creates a room of Alice with content to read; events are a second apart. */
export async function createReadingRoom(app: TestApp, historyVisibility?: string) {
  let roomId: RoomId | null = null
  const append = (event: NewEvent): Promise<StoredEvent> => {
    app.clock.advance(1000)
    return app.rooms.run(roomId, (room) => appendEvent(app, room, event))
  }
  const state = (type: string, content: JsonObject, sender = ALICE, state_key = '') =>
    append({ type, state_key, sender, content })
  const create = await state('m.room.create', { room_version: '12' })
  roomId = create.room_id
  const member = (userId: UserId, membership: string, sender = userId, content: JsonObject = {}) =>
    state('m.room.member', { membership, ...content }, sender, userId)
  await member(ALICE, 'join')
  await state('m.room.power_levels', { users_default: 0 })
  await state('m.room.join_rules', { join_rule: 'public' })
  if (historyVisibility) await state('m.room.history_visibility', { history_visibility: historyVisibility })
  return {
    roomId: create.room_id,
    create,
    state,
    member,
    message: (sender: UserId, body: string, content: JsonObject = {}, more: Partial<NewEvent> = {}) =>
      append({ type: 'm.room.message', sender, content: { msgtype: 'm.text', body, ...content }, ...more }),
    relate: (sender: UserId, rel_type: string, event_id: EventId, content: JsonObject = {}) =>
      append({
        type: 'm.room.message',
        sender,
        content: { body: rel_type, 'm.relates_to': { rel_type, event_id }, ...content },
      }),
    redact: (sender: UserId, redacts: EventId) =>
      append({ type: 'm.room.redaction', sender, content: { redacts }, redacts }),
  }
}

export type ReadingRoom = Awaited<ReturnType<typeof createReadingRoom>>
