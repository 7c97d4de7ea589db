import { vi } from 'vitest'
import type { App } from '../app.ts'
import { buildReading, buildTimeline } from '../build-app.ts'
import { defaultConfig } from '../config.ts'
import type { DeviceId, EventId, RoomId, ServerName, UserId } from '../core/ids.ts'
import type { JsonObject } from '../core/pdu.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { fixedClock } from '../infra/clock.ts'
import { appendEvent } from '../services/rooms/timeline/append-event.ts'
import type { NewEvent } from '../services/rooms/timeline/new-event.ts'
import { createNidSource } from '../storage/engine/nids.ts'
import { createRoomTransactions } from '../storage/rooms/room-transactions.ts'
import type { StoredEvent } from '../storage/schema/stored-event.ts'
import { createTestDatabase } from './test-database.ts'

export const ALICE = '@alice:x' as UserId
export const BOB = '@bob:x' as UserId
export const CAROL = '@carol:x' as UserId
export const DEVICE = 'DEVICE' as DeviceId
export const START = 1_700_000_000_000

/** What reading services need, on a database of its own, and a clock that the test sets. */
export async function createReadingApp() {
  const database = await createTestDatabase()
  await database.write(async (tx) => {
    for (const user_id of [ALICE, BOB, CAROL])
      await tx.sql
        .insertInto('users')
        .values({ user_id, created_ts: START } as never)
        .execute()
  })
  return {
    timeline: buildTimeline({ database }),
    reading: buildReading(),
    config: defaultConfig({ server_name: 'x' }),
    database,
    clock: fixedClock(START),
    logger: { warn: vi.fn() } as unknown as App['logger'],
    stopping: new AbortController().signal,
    rooms: createRoomTransactions(database, { lanes: 1, serverName: 'x' as ServerName }),
    takeNids: createNidSource(),
    serverName: 'x' as ServerName,
    signingKey: signingKeyFromSeed('a', Buffer.alloc(32, 1)),
  }
}

export type ReadingApp = Awaited<ReturnType<typeof createReadingApp>>

/** A room of Alice's with what it needs to be read about; events are a second apart. */
export async function createReadingRoom(app: ReadingApp, historyVisibility?: string) {
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
