import { afterAll, beforeAll, expect, test } from 'vitest'
import { updateLocked } from '../../../storage/users/users.ts'
import { ALICE } from '../../../testing/reading-room.ts'
import { type AppWithRemote, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'
import { listForwardExtremities, mergeForwardExtremities } from './forward-extremities.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.close())

test('forward extremities are merged, also more than one event can follow', async () => {
  const { roomId, make, receive, message, member } = await createSharedRoom(app)
  const forks = []
  for (let fork = 0; fork < 45; fork++) forks.push(await make({ content: { body: `fork ${fork}` } }))
  for (const fork of forks) await receive(fork)
  expect(await listForwardExtremities(app, roomId)).toHaveLength(45)
  const lock = (locked: boolean) => app.database.write((tx) => updateLocked(tx, ALICE, locked ? app.clock.now() : null))
  await lock(true)
  await expect(mergeForwardExtremities(app, roomId)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  await lock(false)
  expect(await mergeForwardExtremities(app, roomId)).toBe(44)
  expect(await listForwardExtremities(app, roomId)).toHaveLength(1)
  const { event_id, depth } = await message(ALICE, 'after').then(({ event_id, pdu }) => ({
    event_id,
    depth: pdu.depth,
  }))
  expect(await listForwardExtremities(app, roomId)).toMatchObject([{ event_id, depth }])
  await member(ALICE, 'leave')
  await receive(await make({ prev_events: [event_id] }))
  expect(await listForwardExtremities(app, roomId)).toHaveLength(2)
  await expect(mergeForwardExtremities(app, roomId)).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
})
