import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RoomId, serverNameOf } from '../../../core/ids.ts'
import { loadRoomMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { findRoom } from '../../../storage/rooms/room-summary.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import { ALICE, BOB, CAROL } from '../../../testing/reading-room.ts'
import { createRemoteRoom } from '../../../testing/remote-room.ts'
import { type AppWithRemote, BORIS, createAppWithRemote, createSharedRoom } from '../../../testing/remote-server.ts'
import { createLocally } from '../lifecycle/create-locally.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.close())

/** Returns the stored counts, after a comparison with the room's state. */
async function countsOf(roomId: RoomId) {
  const room = (await findRoom(app.database, roomId))!
  const head = (await findRoomHead(app.database, roomId))!
  const state = await readAllState(app.database, head.state_root)
  const joined = await loadRoomMemberships(app.database, roomId, ['join'])
  const counts = {
    joined: room.joined_members,
    local: room.joined_local_members,
    members: room.member_events,
    others: room.other_state_events,
  }
  expect(counts).toEqual({
    joined: joined.length,
    local: joined.filter(({ user_id }) => serverNameOf(user_id) === app.serverName).length,
    members: state.filter(({ pdu }) => pdu.type === 'm.room.member').length,
    others: state.filter(({ pdu }) => pdu.type !== 'm.room.member').length,
  })
  return counts
}

test('the counts of a room follow its state', async () => {
  const { roomId, member, state, message, redact } = await createSharedRoom(app)
  // create, power levels and join rules
  expect(await countsOf(roomId)).toEqual({ joined: 2, local: 1, members: 2, others: 3 })
  const topic = await state('m.room.topic', { topic: 'one' })
  await state('m.room.topic', { topic: 'two' })
  await state('org.example.list', {}, ALICE, 'first')
  await state('org.example.list', {}, ALICE, 'second')
  await message(ALICE, 'nothing')
  await redact(ALICE, topic.event_id)
  expect(await countsOf(roomId)).toEqual({ joined: 2, local: 1, members: 2, others: 6 })
  await member(BOB, 'join')
  await member(BOB, 'join', BOB, { displayname: 'Robert' })
  await member(CAROL, 'invite', ALICE)
  await member(BORIS, 'leave', ALICE)
  expect(await countsOf(roomId)).toEqual({ joined: 2, local: 2, members: 4, others: 6 })
  await member(BOB, 'leave')
  await member(CAROL, 'join')
  expect(await countsOf(roomId)).toEqual({ joined: 2, local: 2, members: 4, others: 6 })
})

test('they follow forks', async () => {
  const { roomId, state, make, receive } = await createSharedRoom(app)
  const levels = { users: { [BORIS]: 50 } }
  await state('m.room.power_levels', levels)
  const theirs = await make({ type: 'm.room.topic', state_key: '', content: { topic: 'theirs' } })
  const list = await make({ type: 'org.example.list', state_key: 'x', content: {} })
  await state('m.room.topic', { topic: 'ours' })
  await receive(theirs)
  await receive(list)
  const before = await countsOf(roomId)
  await state('m.room.name', { name: 'merged' })
  expect(await countsOf(roomId)).toEqual({ ...before, others: before.others + 1 })
})

test('they are right for rooms that are created or joined with many events at once', async () => {
  const roomId = await createLocally(app, ALICE, { preset: 'public_chat', invite: [BOB], name: 'Tea' } as never)
  expect(await countsOf(roomId)).toMatchObject({ joined: 1, local: 1, members: 2 })
  const remote = createRemoteRoom(app)
  remote.make({ type: 'm.room.topic', state_key: '', content: { topic: 'remote' } })
  await remote.joinPartially()
  expect(await countsOf(remote.roomId)).toMatchObject({ joined: 1, local: 1, others: 4 })
})
