import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import {
  ALICE,
  BOB,
  CAROL,
  createReadingRoom,
  DEVICE,
  PEOPLE,
  type ReadingRoom,
} from '../../../testing/reading-room.ts'
import { type MembersCommand, readJoinedMembers, readMembers } from './read-members.ts'
import { readState, readStateAt } from './read-state.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

async function allOf<Item>(pieces: AsyncIterable<Item[]>): Promise<Item[]> {
  const all: Item[] = []
  for await (const items of pieces) all.push(...items)
  return all
}

const topic = (
  room: ReadingRoom,
  userId: UserId,
  format: 'content' | 'event' = 'content',
  eventType = 'm.room.topic',
) => readStateAt(app, { roomId: room.roomId, userId, deviceId: DEVICE, eventType, stateKey: '', format })
const members = async (room: ReadingRoom, userId: UserId, more: Partial<MembersCommand> = {}) => {
  const events = await allOf(await readMembers(app, { roomId: room.roomId, userId, deviceId: DEVICE, ...more }))
  return Object.fromEntries(events.map((event) => [event.state_key, event.content.membership]))
}
const FORBIDDEN = { status: 403, errcode: 'M_FORBIDDEN' }

test('a member reads the current state', async () => {
  const room = await createReadingRoom(app)
  await room.state('m.room.topic', { topic: 'one' })
  const event = await room.state('m.room.topic', { topic: 'two' })
  expect(await topic(room, ALICE)).toEqual({ topic: 'two' })
  expect(await topic(room, ALICE, 'event')).toMatchObject({
    event_id: event.event_id,
    sender: ALICE,
    content: { topic: 'two' },
  })
  const state = await allOf(await readState(app, { roomId: room.roomId, userId: ALICE, deviceId: DEVICE }))
  const types = ['m.room.create', 'm.room.join_rules', 'm.room.member', 'm.room.power_levels', 'm.room.topic']
  expect(state.map(({ type }) => type).sort()).toEqual(types)
  await expect(topic(room, ALICE, 'content', 'm.none')).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' })
})

test('a user who left or was banned reads the state as of then', async () => {
  const room = await createReadingRoom(app)
  await room.state('m.room.topic', { topic: 'then' })
  await room.member(BOB, 'join')
  await room.member(BOB, 'leave', ALICE)
  await room.state('m.room.topic', { topic: 'now' })
  await room.member(CAROL, 'join')
  await room.member(BOB, 'ban', ALICE)
  expect(await topic(room, BOB)).toEqual({ topic: 'then' })
  expect(await members(room, BOB)).toEqual({ [ALICE]: 'join', [BOB]: 'leave' })
  expect(await members(room, BOB, { at: paginationToken(1000) })).toEqual({ [ALICE]: 'join', [BOB]: 'leave' })
  await expect(readJoinedMembers(app, room.roomId, BOB)).rejects.toMatchObject(FORBIDDEN)
})

test('a user who was never in the room reads its state only if it is world-readable', async () => {
  const room = await createReadingRoom(app, 'invited')
  await room.state('m.room.topic', { topic: 'one' })
  await room.member(BOB, 'invite', ALICE)
  await expect(topic(room, BOB)).rejects.toMatchObject(FORBIDDEN)
  await expect(topic(room, CAROL)).rejects.toMatchObject(FORBIDDEN)
  await expect(members(room, CAROL)).rejects.toMatchObject(FORBIDDEN)
  await room.state('m.room.history_visibility', { history_visibility: 'world_readable' })
  expect(await topic(room, CAROL)).toEqual({ topic: 'one' })
  expect(await members(room, CAROL)).toEqual({ [ALICE]: 'join', [BOB]: 'invite' })
})

test('members are filtered by membership; both filters together are an or', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  await room.member(BOB, 'leave')
  await room.member(CAROL, 'invite', ALICE)
  expect(await members(room, ALICE, { membership: 'join' })).toEqual({ [ALICE]: 'join' })
  expect(await members(room, ALICE, { notMembership: 'leave' })).toEqual({ [ALICE]: 'join', [CAROL]: 'invite' })
  expect(await members(room, ALICE, { membership: 'leave', notMembership: 'join' })).toEqual({
    [BOB]: 'leave',
    [CAROL]: 'invite',
  })
})

test('members at a token are those of that time', async () => {
  const room = await createReadingRoom(app)
  const before = await room.message(ALICE, 'before')
  await room.member(BOB, 'join')
  const after = await room.message(ALICE, 'after')
  expect(await members(room, ALICE, { at: paginationToken(before.event_order!) })).toEqual({ [ALICE]: 'join' })
  expect(await members(room, ALICE, { at: paginationToken(after.event_order!) })).toEqual({
    [ALICE]: 'join',
    [BOB]: 'join',
  })
  expect(await members(room, ALICE, { at: paginationToken(0) })).toEqual({ [ALICE]: 'join' })
  expect(await members(room, ALICE, { at: paginationToken(1) })).toEqual({ [ALICE]: 'join' })
  await expect(members(room, ALICE, { at: 'x' })).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
})

test('joined members come with their profiles', async () => {
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join', BOB, { displayname: 'Bob', avatar_url: 'mxc://x/b' })
  await room.member(CAROL, 'invite', ALICE)
  let json = ''
  for await (const piece of await readJoinedMembers(app, room.roomId, ALICE)) json += piece
  expect(JSON.parse(json).joined).toEqual({
    [ALICE]: { display_name: null, avatar_url: null },
    [BOB]: { display_name: 'Bob', avatar_url: 'mxc://x/b' },
  })
})
