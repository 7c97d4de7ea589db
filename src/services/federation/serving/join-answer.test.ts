import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { type AppWithRemote, BORIS, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'
import { joinAnswer, readRoomPart } from './join-answer.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

async function answerOf(pieces: AsyncIterable<string>): Promise<{ state: { content: { topic?: string } }[] }> {
  let text = ''
  for await (const piece of pieces) text += piece
  return JSON.parse(text)
}

/** Reads the response ahead, runs `between`, and stores the join. Returns both. */
async function joinAfter(between: (room: Awaited<ReturnType<typeof createSharedRoom>>) => Promise<unknown>) {
  const room = await createSharedRoom(app)
  const event = await room.make({ type: 'm.room.member', state_key: BORIS, content: { membership: 'join' } })
  const head = await findRoomHead(app.database, room.roomId)
  const ready = await readRoomPart(app, head!.state_root, event)
  expect(ready).toBeDefined()
  expect(await readRoomPart(app, head!.state_root, event, ready!.text.length - 1)).toBeUndefined()
  await between(room)
  const renewed = await room.make({ type: 'm.room.member', state_key: BORIS, content: { membership: 'join' } })
  await room.receive(renewed)
  const [join] = await loadEventsById(app.database, [renewed.event_id])
  return { join: join!, ready }
}

test('state read before the lock gives the same answer as state read under it', async () => {
  const { join, ready } = await joinAfter(async () => {})
  const later = await answerOf(joinAnswer(app, join, { omitMembers: true }))
  expect(await answerOf(joinAnswer(app, join, { omitMembers: true, ready }))).toEqual(later)
  expect(later).toMatchObject({ members_omitted: true, event: { state_key: BORIS } })
})

test('state read before the lock is not used once the room has changed', async () => {
  const { join, ready } = await joinAfter((room) => room.state('m.room.topic', { topic: 'new' }))
  const { state } = await answerOf(joinAnswer(app, join, { omitMembers: true, ready }))
  expect(state.filter(({ content }) => content.topic === 'new')).toHaveLength(1)
})
