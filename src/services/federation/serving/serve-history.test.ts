import { afterAll, beforeAll, expect, test } from 'vitest'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import type { EventId, ServerName } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import { noteErasure } from '../../../storage/users/erasures.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { type AppWithRemote, createAppWithRemote, createSharedRoom, REMOTE } from '../../../testing/remote-server.ts'
import { serveBackfill, serveEvent, serveMissingEvents } from './serve-history.ts'
import { findStateBefore, serveEventAuth } from './serve-state.ts'
import { stateAnswer } from './state-answer.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.database.close())

const STRANGER = 'stranger' as ServerName

test('missing events come oldest first, without those named, and not more than asked for', async () => {
  const { roomId, message } = await createSharedRoom(app)
  const sent = []
  for (const body of ['1', '2', '3', '4', '5']) sent.push(await message(ALICE, body))
  const ids = sent.map(({ event_id }) => event_id)
  const ask = (limit: number, minDepth = 0) =>
    serveMissingEvents(app, { origin: REMOTE, roomId }, { earliest: [ids[0]!], latest: [ids[4]!], limit, minDepth })
  expect((await ask(10)).map(({ content }) => content.body)).toEqual(['2', '3', '4'])
  expect((await ask(2)).map(({ content }) => content.body)).toEqual(['3', '4'])
  expect((await ask(10, sent[2]!.pdu.depth)).map(({ content }) => content.body)).toEqual(['3', '4'])
  await expect(
    serveMissingEvents(app, { origin: STRANGER, roomId }, { earliest: [], latest: ids, limit: 9, minDepth: 0 }),
  ).rejects.toThrow(ForbiddenError)
})

test('backfill gives what is named and what came before it, newest first', async () => {
  const { roomId, message } = await createSharedRoom(app)
  await message(ALICE, '1')
  const { event_id } = await message(ALICE, '2')
  const pdus = await serveBackfill(app, { origin: REMOTE, roomId }, { from: [event_id], limit: 3 })
  expect(pdus.map(({ type, content }) => content.body ?? type)).toEqual(['2', '1', 'm.room.member'])
  const all = await serveBackfill(app, { origin: REMOTE, roomId }, { from: [event_id], limit: 1000 })
  expect(all.at(-1)?.type).toBe('m.room.create')
})

test('events that no user of the server could see are served redacted', async () => {
  const room = await createSharedRoom(app)
  const open = await room.message(ALICE, 'open')
  await room.state('m.room.history_visibility', { history_visibility: 'joined' })
  const seen = await room.message(ALICE, 'seen')
  expect((await serveEvent(app, REMOTE, open.event_id)).content.body).toBe('open')
  expect((await serveEvent(app, REMOTE, seen.event_id)).content.body).toBe('seen')

  const closed = await createClosedRoom()
  const [message] = await serveBackfill(
    app,
    { origin: REMOTE, roomId: closed.roomId },
    { from: [closed.hidden], limit: 1 },
  )
  expect(message).toMatchObject({ type: 'm.room.message', content: {} })
})

/** Creates a room that Boris joined after a message that only earlier members may read. */
async function createClosedRoom(): Promise<{ roomId: Parameters<typeof serveBackfill>[1]['roomId']; hidden: EventId }> {
  const room = await createSharedRoom(app)
  await room.state('m.room.history_visibility', { history_visibility: 'joined' })
  await room.receive(
    await room.make({ type: 'm.room.member', state_key: '@boris:remote', content: { membership: 'leave' } }),
  )
  const hidden = await room.message(ALICE, 'hidden')
  await room.receive(
    await room.make({ type: 'm.room.member', state_key: '@boris:remote', content: { membership: 'join' } }),
  )
  return { roomId: room.roomId, hidden: hidden.event_id }
}

test('state and auth chain are those before the event; strangers get nothing', async () => {
  const { roomId, state, create } = await createSharedRoom(app)
  const topic = await state('m.room.topic', { topic: 'new' })
  const request = { origin: REMOTE, roomId, eventId: topic.event_id }
  const root = await findStateBefore(app, request)
  const wholeOf = async (pieces: AsyncIterable<string>) => {
    let json = ''
    for await (const piece of pieces) json += piece
    return JSON.parse(json)
  }
  const answer = (wanted: 'events' | 'ids') => wholeOf(stateAnswer(app, { roomId, root }, wanted))
  const [{ pdus, auth_chain }, ids] = [await answer('events'), await answer('ids')]
  expect(pdus.map(({ type }: Pdu) => type)).not.toContain('m.room.topic')
  expect(pdus).toContainEqual(create.pdu)
  expect(ids.pdu_ids).toContain(create.event_id)
  expect(ids.pdu_ids).toHaveLength(pdus.length)
  // The auth chain of the state, each event once.
  const cited = new Set(ids.auth_chain_ids)
  expect(cited.size).toBe(auth_chain.length)
  expect([...pdus, ...auth_chain].flatMap((pdu) => pdu.auth_events).filter((id) => !cited.has(id))).toEqual([])
  const permitting = await wholeOf(await serveEventAuth(app, request))
  expect(permitting.auth_chain).toContainEqual(create.pdu)
  await expect(findStateBefore(app, { ...request, origin: STRANGER })).rejects.toThrow(ForbiddenError)
  await expect(findStateBefore(app, { ...request, eventId: '$no' as EventId })).rejects.toThrow(NotFoundError)
  await expect(serveEvent(app, STRANGER, topic.event_id)).rejects.toThrow(ForbiddenError)
})

test('events of an erased user are served redacted to servers that joined later', async () => {
  const room = await createSharedRoom(app)
  const member = async (membership: string) =>
    room.receive(await room.make({ type: 'm.room.member', state_key: '@boris:remote', content: { membership } }))
  const shared = await room.message(ALICE, 'shared')
  await member('leave')
  const missed = await room.message(ALICE, 'missed')
  await app.database.write((tx) => noteErasure(tx, ALICE))
  // As the stream does in every process.
  app.database.caches.erasedUsers.add(ALICE)
  await member('join')
  const bodyOf = async ({ event_id }: Event) => (await serveEvent(app, REMOTE, event_id)).content.body
  expect(await bodyOf(shared)).toBe('shared')
  expect(await bodyOf(missed)).toBeUndefined()
})
