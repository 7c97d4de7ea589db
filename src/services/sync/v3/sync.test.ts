import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { loadTypingUsers } from '../../../storage/rooms/typing.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, createReadingRoom, DEVICE, PEOPLE } from '../../../testing/reading-room.ts'
import { bodies, clientOf, named } from '../../../testing/sync-client.ts'
import { setMarkers } from '../../rooms/sending/receipts.ts'
import { setTyping } from '../../rooms/sending/typing.ts'
import { putAccountData, removeAccountData } from '../../users/settings/account-data.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const limited = (limit: number) => ({ room: { timeline: { limit } } })

describe('an initial sync', () => {
  test('tells all of a room: newest events, state before them, summary, typing, receipts, account data', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    for (let i = 1; i <= 4; i++) await room.message(ALICE, `${i}`)
    const last = await room.message(BOB, '5')
    await setMarkers(app, { roomId: room.roomId, userId: BOB, markers: [{ type: 'm.read', eventId: last.event_id }] })
    await setTyping(app, { roomId: room.roomId, userId: BOB, typing: true })
    await putAccountData(app, ALICE, { roomId: room.roomId, type: 'org.room', content: { a: 1 } })
    const body = await clientOf(app, ALICE, { filter: limited(3) }).sync()
    const told = body.rooms.join[room.roomId]
    expect(bodies(told.timeline.events)).toEqual(['3', '4', '5'])
    expect(told.timeline.limited).toBe(true)
    expect(told.timeline.prev_batch).toBe(`t1_${last.event_order! - 3}`)
    expect(named(told.state.events).sort()).toEqual([
      'm.room.create',
      'm.room.join_rules',
      `m.room.member/${ALICE}`,
      `m.room.member/${BOB}`,
      'm.room.power_levels',
    ])
    expect(told.summary).toEqual({ 'm.heroes': [BOB], 'm.joined_member_count': 2, 'm.invited_member_count': 0 })
    expect(named(told.ephemeral.events).sort()).toEqual(['m.receipt', 'm.typing'])
    expect(told.account_data.events).toEqual([{ type: 'org.room', content: { a: 1 } }])
    expect(named(body.account_data.events)).toContain('m.push_rules')
    expect(told.timeline.events[0]).not.toHaveProperty('room_id')
  })

  test('of a short room has all of it in the timeline and no state beside it', async () => {
    const room = await createReadingRoom(app)
    const told = (await clientOf(app, ALICE).sync()).rooms.join[room.roomId]
    expect(named(told.timeline.events)).toEqual([
      'm.room.create',
      `m.room.member/${ALICE}`,
      'm.room.power_levels',
      'm.room.join_rules',
    ])
    expect(told.timeline.limited).toBe(false)
    expect(told.state.events).toEqual([])
  })

  test('of a user who is nowhere has no rooms', async () => {
    expect(await clientOf(app, '@nobody:hearth.test' as UserId).sync()).not.toHaveProperty('rooms')
  })
})

describe('an incremental sync', () => {
  test('tells each event once, and nothing else of what the client has', async () => {
    const room = await createReadingRoom(app)
    const client = clientOf(app, ALICE)
    await client.sync()
    expect(await client.sync()).not.toHaveProperty('rooms')
    await room.message(ALICE, 'new')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(bodies(told.timeline.events)).toEqual(['new'])
    expect(told.timeline.limited).toBe(false)
    expect(told.state.events).toEqual([])
    expect(told).not.toHaveProperty('summary')
    expect(await client.sync()).not.toHaveProperty('rooms')
  })

  test('after a long absence leaves a gap that is named, and tells the state that changed in it', async () => {
    const room = await createReadingRoom(app)
    const client = clientOf(app, ALICE, { filter: limited(2) })
    await client.sync()
    await room.state('m.room.topic', { topic: 'in the gap' })
    for (let i = 1; i <= 90; i++) await room.message(ALICE, `${i}`)
    await room.state('m.room.name', { name: 'in the timeline' })
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(named(told.timeline.events)).toEqual(['m.room.message', 'm.room.name'])
    expect(told.timeline.limited).toBe(true)
    expect(named(told.state.events)).toEqual(['m.room.topic'])
    expect(told.summary).toMatchObject({ 'm.joined_member_count': 1 })
  })

  test('tells a room joined since the token with all its state', async () => {
    const room = await createReadingRoom(app)
    await room.message(ALICE, 'before')
    const client = clientOf(app, BOB, { filter: limited(2) })
    await client.sync()
    await putAccountData(app, BOB, { roomId: room.roomId, type: 'org.old', content: { kept: true } })
    await client.sync()
    await room.member(BOB, 'join')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(named(told.timeline.events)).toEqual(['m.room.message', `m.room.member/${BOB}`])
    expect(told.timeline.limited).toBe(true)
    expect(named(told.state.events)).toContain('m.room.create')
    expect(named(told.account_data.events)).toEqual(['org.old'])
    expect(told.summary).toMatchObject({ 'm.joined_member_count': 2 })
  })

  test('shows no more of the history than the room allows', async () => {
    const room = await createReadingRoom(app, 'joined')
    await room.message(ALICE, 'hidden')
    const client = clientOf(app, BOB)
    await client.sync()
    await room.member(BOB, 'join')
    await room.message(ALICE, 'shown')
    const told = (await client.sync()).rooms.join[room.roomId]
    expect(bodies(told.timeline.events)).toEqual(['shown'])
    expect(bodies((await clientOf(app, BOB).sync()).rooms.join[room.roomId].timeline.events)).toEqual(['shown'])
  })

  test('tells who types, and when nobody does any more', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const client = clientOf(app, ALICE)
    await client.sync()
    const typing = async () => (await client.sync()).rooms.join[room.roomId].ephemeral.events
    await setTyping(app, { roomId: room.roomId, userId: BOB, typing: true })
    expect(await typing()).toEqual([{ type: 'm.typing', content: { user_ids: [BOB] } }])
    await setTyping(app, { roomId: room.roomId, userId: BOB, typing: false })
    expect(await typing()).toEqual([{ type: 'm.typing', content: { user_ids: [] } }])
    expect(await client.sync()).not.toHaveProperty('rooms')
  })

  test('tells receipts of others, and private ones to their owner only', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const event = await room.message(ALICE, 'read me')
    const [alice, bob] = [clientOf(app, ALICE), clientOf(app, BOB)]
    await alice.sync()
    await bob.sync()
    const read = (type: 'm.read' | 'm.read.private') =>
      setMarkers(app, { roomId: room.roomId, userId: BOB, markers: [{ type, eventId: event.event_id }] })
    await read('m.read.private')
    expect(await alice.sync()).not.toHaveProperty('rooms')
    expect((await bob.sync()).rooms.join[room.roomId].ephemeral.events).toMatchObject([
      { type: 'm.receipt', content: { [event.event_id]: { 'm.read.private': { [BOB]: {} } } } },
    ])
    await read('m.read')
    expect((await alice.sync()).rooms.join[room.roomId].ephemeral.events).toMatchObject([
      { type: 'm.receipt', content: { [event.event_id]: { 'm.read': { [BOB]: {} } } } },
    ])
  })

  test('tells account data that changed or was removed, to its owner only', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const [alice, bob] = [clientOf(app, ALICE), clientOf(app, BOB)]
    await alice.sync()
    await bob.sync()
    await putAccountData(app, ALICE, { roomId: '', type: 'org.global', content: { x: 1 } })
    await putAccountData(app, ALICE, { roomId: room.roomId, type: 'org.room', content: { y: 2 } })
    const body = await alice.sync()
    expect(body.account_data.events).toEqual([{ type: 'org.global', content: { x: 1 } }])
    expect(body.rooms.join[room.roomId].account_data.events).toEqual([{ type: 'org.room', content: { y: 2 } }])
    await removeAccountData(app, ALICE, { roomId: '', type: 'org.global' })
    expect((await alice.sync()).account_data.events).toEqual([{ type: 'org.global', content: {} }])
    const other = await bob.sync()
    expect(other).not.toHaveProperty('account_data')
    expect(other).not.toHaveProperty('rooms')
  })

  test('names the transaction to the device that sent the event, and to no other', async () => {
    const room = await createReadingRoom(app)
    const [own, other] = [clientOf(app, ALICE), clientOf(app, ALICE, { deviceId: 'OTHER' as typeof DEVICE })]
    await own.sync()
    await other.sync()
    await room.message(ALICE, 'mine', {}, { txn: { deviceId: DEVICE, id: 'txn1' } })
    const unsigned = async (client: typeof own) =>
      (await client.sync()).rooms.join[room.roomId].timeline.events[0].unsigned
    expect(await unsigned(own)).toMatchObject({ transaction_id: 'txn1' })
    expect(await unsigned(other)).not.toHaveProperty('transaction_id')
  })

  test('with full_state tells the state of all joined rooms, at once', async () => {
    const [busy, quiet] = [await createReadingRoom(app), await createReadingRoom(app)]
    const client = clientOf(app, ALICE)
    await client.sync()
    await busy.message(ALICE, 'new')
    const { join } = (await client.sync({ fullState: true, timeout: 60_000 })).rooms
    expect(bodies(join[busy.roomId].timeline.events)).toEqual(['new'])
    expect(join[busy.roomId].state.events).toHaveLength(4)
    expect(join[quiet.roomId].timeline).toMatchObject({ events: [], limited: false })
    expect(join[quiet.roomId].state.events).toHaveLength(4)
  })
})

test('a response lists a limited number of members who type or are online', async () => {
  const room = await createReadingRoom(app)
  const { event_nid } = await room.member(BOB, 'join')
  const database = app.database.sql
  const many = sql`select '@many' || lpad(place::text, 5, '0') || ':hearth.test' as user_id from generate_series(1, 6000) as place`
  await sql`insert into room_memberships (room_id, user_id, membership, event_nid)
    select ${room.roomId}, user_id, 'join', ${event_nid}::bigint from (${many}) as many`.execute(database)
  await sql`insert into presence (user_id, presence, last_active_ts)
    select user_id, 'online', ${app.clock.now()}::bigint from (${many}) as many union all
    select ${ALICE}, 'online', ${app.clock.now()}::bigint on conflict do nothing`.execute(database)
  await sql`insert into typing (room_id, user_id, expires_ts)
    select ${room.roomId}, user_id, ${app.clock.now() + 60_000}::bigint from (${many}) as many`.execute(database)
  const body = await clientOf(app, ALICE).sync()
  const [typing] = body.rooms.join[room.roomId].ephemeral.events
  expect(typing.content.user_ids).toHaveLength(100)
  const present = body.presence.events.map(({ sender }: { sender: string }) => sender)
  expect(present).toHaveLength(5000)
  expect(present).toContain(ALICE)
  const all = await loadTypingUsers(app.database, [room.roomId], app.clock.now())
  expect(all.get(room.roomId)).toHaveLength(6000)
  await sql`delete from presence where user_id like '@many%'`.execute(database)
})

test.each(['s1_999999999999', 's1_', 's2_5', 't1_4', 'x', 's1_1.5', 's1_-1'])(
  'a token that is not ours is refused: %s',
  async (since) => {
    await expect(clientOf(app, ALICE).sync({ since, timeout: 60_000 })).rejects.toMatchObject({
      status: 400,
      errcode: 'M_INVALID_PARAM',
    })
  },
)
