import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import { type AppWithRemote, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'
import { chainTexts } from './auth-chain-texts.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

test('a chain that is too long to be kept has the same order as one that is kept', async () => {
  const room = await createSharedRoom(app)
  for (const value of [1, 2, 3]) await room.state('m.room.power_levels', { events: { 'm.room.name': value } })
  const topic = await room.state('m.room.topic', { topic: 'new' })
  const idsOf = async (most?: number) => {
    const ids: EventId[] = []
    const chain = { starts: new Set(topic.auth_event_ids), ...(most !== undefined && { most }) }
    for await (const texts of chainTexts(app, room.roomId, chain)) ids.push(...texts.map(({ event_id }) => event_id))
    return ids
  }
  const kept = await idsOf()
  expect(kept[0]).toBe(room.create.event_id)
  expect(kept.length).toBeGreaterThan(5)
  expect(await idsOf(0)).toEqual(kept)
  expect(await idsOf(1000)).toEqual(kept)
})
