import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId } from '../../../core/ids.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { findRoom } from '../../../storage/rooms/room-summary.ts'
import { ALICE, BOB, CAROL } from '../../../testing/reading-room.ts'
import { createRemoteRoom } from '../../../testing/remote-room.ts'
import {
  type AppWithRemote,
  BORIS,
  createAppWithRemote,
  createSharedRoom,
  REMOTE,
} from '../../../testing/remote-server.ts'
import { prepareMember } from '../../federation/requests/member-handshake.ts'
import { makeMemberTemplate } from '../../federation/requests/member-template.ts'
import { acceptMember } from '../../federation/serving/accept-member.ts'
import { receiveInvite } from '../../federation/serving/receive-invite.ts'
import { changeMembership } from '../membership/change-membership.ts'
import { setBlocked } from './block-room.ts'

let app: AppWithRemote
beforeAll(async () => {
  app = await createAppWithRemote()
})
afterAll(() => app.close())

const block = (roomId: string, blocked = true) => setBlocked(app, { roomId: roomId as RoomId, by: ALICE, blocked })
const refused = { errcode: 'M_FORBIDDEN', message: 'This room has been blocked on this server' }

test('nobody enters a blocked room, and members stay', async () => {
  const { roomId, member } = await createSharedRoom(app)
  await member(BOB, 'join')
  await block(roomId)
  for (const membership of ['join', 'knock'] as const)
    await expect(changeMembership(app, roomId, { sender: CAROL, target: CAROL, membership })).rejects.toMatchObject(
      refused,
    )
  const invite = { sender: ALICE, target: CAROL, membership: 'invite' } as const
  await expect(changeMembership(app, roomId, invite)).rejects.toMatchObject(refused)
  const profile = { sender: BOB, target: BOB, membership: 'join', content: { displayname: 'Robert' } } as const
  await changeMembership(app, roomId, profile)
  await changeMembership(app, roomId, { sender: ALICE, target: CAROL, membership: 'ban' })
  await changeMembership(app, roomId, { sender: ALICE, target: CAROL, membership: 'leave' })
  await changeMembership(app, roomId, { sender: BOB, target: BOB, membership: 'leave' })
  await expect(changeMembership(app, roomId, { sender: BOB, target: BOB, membership: 'join' })).rejects.toMatchObject(
    refused,
  )
  await block(roomId, false)
  await changeMembership(app, roomId, { sender: BOB, target: BOB, membership: 'join' })
  expect(await findMembership(app.database, roomId, BOB)).toMatchObject({ membership: 'join' })
})

test('no other server adds its users to a blocked room through this one', async () => {
  const { roomId, make } = await createSharedRoom(app)
  const request = { origin: REMOTE, roomId, userId: BORIS, versions: ['12'] }
  await makeMemberTemplate(app, { ...request, membership: 'join' })
  const join = await make({ type: 'm.room.member', state_key: BORIS, content: { membership: 'join', a: 1 } })
  const leave = await make({ type: 'm.room.member', state_key: BORIS, content: { membership: 'leave' } })
  await block(roomId)
  await expect(makeMemberTemplate(app, { ...request, membership: 'join' })).rejects.toMatchObject(refused)
  const submission = { origin: REMOTE, roomId, eventId: join.event_id, pdu: { ...join.pdu } }
  await expect(acceptMember(app, { ...submission, membership: 'join' })).rejects.toMatchObject(refused)
  await makeMemberTemplate(app, { ...request, membership: 'leave' })
  const leaving = { ...submission, eventId: leave.event_id, pdu: { ...leave.pdu } }
  expect(await acceptMember(app, { ...leaving, membership: 'leave' })).toMatchObject({ event_id: leave.event_id })
})

test('a room that the server does not know can be blocked', async () => {
  const room = createRemoteRoom(app)
  await block(room.roomId)
  const wish = { roomId: room.roomId, userId: ALICE, content: {} }
  const asked = app.asked.length
  await expect(prepareMember(app, REMOTE, { ...wish, membership: 'join' })).rejects.toMatchObject(refused)
  await expect(prepareMember(app, REMOTE, { ...wish, membership: 'knock' })).rejects.toMatchObject(refused)
  expect(app.asked).toHaveLength(asked)
  // As if it had been blocked during the join.
  await expect(room.joinPartially()).rejects.toMatchObject(refused)
  expect(await findRoom(app.database, room.roomId)).toBeUndefined()
  const invite = room.member(ALICE, 'invite', { sender: BORIS, counts: false })
  const received = { origin: REMOTE, roomId: room.roomId, eventId: invite.event_id, roomVersion: room.version.id }
  const roomState = room.events.map(({ pdu }) => pdu)
  await expect(receiveInvite(app, { ...received, pdu: { ...invite.pdu }, roomState })).rejects.toMatchObject(refused)
  await block(room.roomId, false)
  await receiveInvite(app, { ...received, pdu: { ...invite.pdu }, roomState })
  expect(await findMembership(app.database, room.roomId, ALICE)).toMatchObject({ membership: 'invite' })
})
