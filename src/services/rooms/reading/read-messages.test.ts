import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseRoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { UserId } from '../../../core/ids.ts'
import { paginationToken } from '../../../core/pagination-token.ts'
import { hideRoom } from '../../../storage/rooms/membership/room-memberships.ts'
import { storeAccountData } from '../../../storage/users/account-data.ts'
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
import { type MessagesCommand, readMessages } from './read-messages.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const read = (room: ReadingRoom, userId: UserId, more: Partial<MessagesCommand> = {}) =>
  readMessages(app, { roomId: room.roomId, userId, deviceId: DEVICE, direction: 'backwards', filter: {}, ...more })
const bodies = async (room: ReadingRoom, userId: UserId, more: Partial<MessagesCommand> = {}) =>
  (await read(room, userId, { limit: 100, ...more })).chunk.map(
    (event) => event.content.body ?? event.content.membership ?? event.type,
  )
const send = async (room: ReadingRoom, ...texts: string[]) => {
  const events = []
  for (const text of texts) events.push(await room.message(ALICE, text))
  return events
}

describe('pages', () => {
  test('of a filter that takes little of a long room come in several requests, in both directions', async () => {
    const room = await createReadingRoom(app)
    const [early] = await send(room, 'early')
    // Sending this number would take too long.
    await sql`insert into events (event_nid, event_id, room_id, event_order, type, sender, origin_server_ts, depth, json, state_before, state_after)
      select 1000000 + n, '$copy' || n, room_id, event_order + n, 'test.filler', sender, origin_server_ts, depth, json, state_before, state_after
      from events, generate_series(1, 45000) as n where event_id = ${early!.event_id}`.execute(app.database.sql)
    await sql`update room_heads set next_order = next_order + 45000 where room_id = ${room.roomId}`.execute(
      app.database.sql,
    )
    await send(room, 'late')
    for (const direction of ['backwards', 'forwards'] as const) {
      const filter = parseRoomEventFilter({ types: ['m.room.message'] })
      const found: unknown[] = []
      let requests = 0
      for (let from: string | undefined; requests === 0 || (from && requests < 9); requests++) {
        const { chunk, end } = await read(room, ALICE, { direction, filter, limit: 5, from })
        found.push(...chunk.map(({ content }) => content.body))
        from = end === from ? undefined : end
      }
      expect(found).toEqual(direction === 'backwards' ? ['late', 'early'] : ['early', 'late'])
      expect(requests).toBeGreaterThanOrEqual(3)
    }
  })

  test('run backwards from the end to the beginning, which has no end token', async () => {
    const room = await createReadingRoom(app)
    const events = await send(room, 'a', 'b', 'c', 'd')
    const pages = []
    let from: string | undefined
    do {
      const page = await read(room, ALICE, { limit: 3, from })
      expect(page.start).toBe(from ?? paginationToken(8))
      pages.push(page.chunk.map((event) => event.event_id))
      from = page.end
    } while (from)
    expect(pages.map((page) => page.length)).toEqual([3, 3, 2])
    expect(pages.flat().slice(0, 4)).toEqual(events.map((event) => event.event_id).reverse())
    expect(pages.flat().at(-1)).toBe(room.create.event_id)
  })

  test('run forwards from the beginning to the end', async () => {
    const room = await createReadingRoom(app)
    await send(room, 'a', 'b')
    const first = await read(room, ALICE, { direction: 'forwards', limit: 5 })
    expect(first.start).toBe(paginationToken(0))
    expect(first.chunk[0]!.event_id).toBe(room.create.event_id)
    const second = await read(room, ALICE, { direction: 'forwards', limit: 5, from: first.end })
    expect(second).toEqual({
      start: first.end,
      end: paginationToken(6),
      chunk: [expect.objectContaining({ content: { msgtype: 'm.text', body: 'b' } })],
    })
    const third = await read(room, ALICE, { direction: 'forwards', limit: 5, from: second.end })
    expect(third).toEqual({ start: second.end, chunk: [] })
  })

  test('stop at `to`, in both directions', async () => {
    const room = await createReadingRoom(app)
    const [a, , c, d] = await send(room, 'a', 'b', 'c', 'd')
    expect(await bodies(room, ALICE, { to: paginationToken(a!.event_order!) })).toEqual(['d', 'c', 'b'])
    const range = { from: paginationToken(a!.event_order!), to: paginationToken(c!.event_order!) }
    expect(await bodies(room, ALICE, { direction: 'forwards', ...range })).toEqual(['b', 'c'])
    expect(await bodies(room, ALICE, { direction: 'forwards', from: paginationToken(d!.event_order!) })).toEqual([])
  })

  test('start at the token of a sync, of which the room has seen a part', async () => {
    const [other, room] = [await createReadingRoom(app), await createReadingRoom(app)]
    await send(room, 'a')
    await send(other, 'elsewhere')
    const rows = await app.database.sql.selectFrom('stream').select('stream_position').execute()
    const token = `s1_${Math.max(...rows.map((row) => row.stream_position))}`
    await send(room, 'b', 'c')
    expect(await bodies(room, ALICE, { direction: 'forwards', from: token })).toEqual(['b', 'c'])
    expect((await bodies(room, ALICE, { from: token }))[0]).toBe('a')
  })

  test('a limit of 0 gives nothing and goes nowhere, a huge one is cut', async () => {
    const room = await createReadingRoom(app)
    await send(room, 'a')
    const from = paginationToken(5)
    expect(await read(room, ALICE, { limit: 0, from })).toEqual({ start: from, end: from, chunk: [] })
    expect((await read(room, ALICE, { limit: 1e15 })).chunk).toHaveLength(5)
  })

  test.each(['x', 't1_', '5'])('%j is refused as a token', async (from) => {
    const room = await createReadingRoom(app)
    await expect(read(room, ALICE, { from })).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
  })
})

describe('history visibility', () => {
  /** before the invite, invited, joined, left; read by Bob. */
  const story = async (visibility: string) => {
    const room = await createReadingRoom(app, visibility)
    await send(room, 'before')
    await room.member(BOB, 'invite', ALICE)
    await send(room, 'invited')
    await room.member(BOB, 'join')
    await send(room, 'joined')
    const joined = await bodies(room, BOB)
    await room.member(BOB, 'leave')
    await send(room, 'left')
    const messages = (list: unknown[]) =>
      list.filter((body) => ['before', 'invited', 'joined', 'left'].includes(String(body)))
    return { joined: messages(joined), left: messages(await bodies(room, BOB)) }
  }

  test.each([
    ['world_readable', ['joined', 'invited', 'before'], ['left', 'joined', 'invited', 'before']],
    ['shared', ['joined', 'invited', 'before'], ['joined', 'invited', 'before']],
    ['invited', ['joined', 'invited'], ['joined', 'invited']],
    ['joined', ['joined'], ['joined']],
  ])('%s: %j once joined', async (visibility, joined, left) => {
    const seen = await story(visibility)
    expect(seen.joined).toEqual(joined)
    expect(seen.left).toEqual(left)
  })

  test('hidden history is passed over', async () => {
    const room = await createReadingRoom(app, 'joined')
    await send(room, ...Array.from({ length: 30 }, (_, i) => `m${i}`))
    await room.member(BOB, 'join')
    const page = await read(room, BOB, { limit: 6 })
    // Events before the visibility was set are shared.
    const types = ['member', 'history_visibility', 'join_rules', 'power_levels', 'member', 'create']
    expect(page.chunk.map((event) => event.type)).toEqual(types.map((type) => `m.room.${type}`))
    expect(page.end).toBeUndefined()
  })

  test('a user who rejoined sees shared history of the absence, and nothing of joined-only history', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await room.member(BOB, 'leave')
    await send(room, 'shared')
    await room.state('m.room.history_visibility', { history_visibility: 'joined' })
    await send(room, 'hidden')
    expect(await bodies(room, BOB)).not.toContain('shared')
    await room.member(BOB, 'join')
    const seen = await bodies(room, BOB)
    expect(seen).toContain('shared')
    expect(seen).toContain('m.room.history_visibility')
    expect(seen).not.toContain('hidden')
  })

  test('a user who was banned after leaving can still read what they could', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await send(room, 'seen')
    await room.member(BOB, 'leave')
    await send(room, 'unseen')
    await room.member(BOB, 'ban', ALICE)
    const seen = await bodies(room, BOB)
    expect(seen).toContain('seen')
    expect(seen).not.toContain('unseen')
  })
})

describe('access', () => {
  test.each(['shared', 'invited', 'joined'])('strangers may not read a room that is %s', async (visibility) => {
    const room = await createReadingRoom(app, visibility)
    await expect(read(room, CAROL)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  })

  test('everyone may peek into a world-readable room, as far back as it was', async () => {
    const room = await createReadingRoom(app, 'joined')
    await send(room, 'secret')
    await room.state('m.room.history_visibility', { history_visibility: 'world_readable' })
    await send(room, 'open')
    expect(await bodies(room, CAROL)).toEqual(['open', 'm.room.history_visibility'])
  })

  test('invited users read a room that is open to them, from their invite on', async () => {
    const room = await createReadingRoom(app, 'invited')
    await send(room, 'before')
    await room.member(BOB, 'invite', ALICE)
    await send(room, 'after')
    expect(await bodies(room, BOB)).toEqual(['after', 'invite'])
    const shared = await createReadingRoom(app)
    await shared.member(BOB, 'invite', ALICE)
    await expect(read(shared, BOB)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  test('a user who rejected an invite never was in the room', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'invite', ALICE)
    await room.member(BOB, 'leave')
    await expect(read(room, BOB)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  test('a forgotten room, and one that does not exist, are forbidden alike', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await room.member(BOB, 'leave')
    await app.database.write((tx) => hideRoom(tx, room.roomId, BOB))
    await expect(read(room, BOB)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    const unknown = { ...room, roomId: '!none:hearth.test' as typeof room.roomId }
    await expect(read(unknown, ALICE)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  })
})

describe('filters', () => {
  const filtered = (room: ReadingRoom, json: object) => bodies(room, ALICE, { filter: parseRoomEventFilter(json) })

  test('by type, sender, url and room', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await room.message(BOB, 'picture', { url: 'mxc://x/y' })
    await room.message(ALICE, 'the word "url"', { text: { url: 'deeper' } })
    await room.state('m.room%topic', { body: 'odd type' })
    expect(await filtered(room, { types: ['m.room.message'] })).toEqual(['the word "url"', 'picture'])
    expect(await filtered(room, { types: ['m.*.message'] })).toEqual(['the word "url"', 'picture'])
    expect(await filtered(room, { types: ['m.room%*'] })).toEqual(['odd type'])
    expect(await filtered(room, { types: [] })).toEqual([])
    expect(await filtered(room, { types: ['\0'] })).toEqual([])
    expect(await filtered(room, { types: ['m.room.m*'], not_types: ['*.member'], senders: [BOB] })).toEqual(['picture'])
    expect(await filtered(room, { not_senders: [ALICE] })).toEqual(['picture', 'join'])
    expect(await filtered(room, { contains_url: true })).toEqual(['picture'])
    expect(await filtered(room, { contains_url: false, types: ['m.room.message'] })).toEqual(['the word "url"'])
    expect(await filtered(room, { rooms: [room.roomId], types: ['m.room.member'], senders: [BOB] })).toEqual(['join'])
    expect(await filtered(room, { not_rooms: [room.roomId] })).toEqual([])
  })

  test('by relations to and from others', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    const [root] = await send(room, 'root', 'alone')
    await room.relate(BOB, 'm.thread', root!.event_id)
    const messages = { types: ['m.room.message'] }
    expect(await filtered(room, { ...messages, related_by_rel_types: ['m.thread'] })).toEqual(['root'])
    expect(await filtered(room, { ...messages, related_by_rel_types: ['m.reference'] })).toEqual([])
    expect(await filtered(room, { ...messages, related_by_senders: [BOB] })).toEqual(['root'])
    expect(
      await filtered(room, { ...messages, related_by_rel_types: ['m.thread'], related_by_senders: [ALICE] }),
    ).toEqual([])
    expect(await filtered(room, { 'org.matrix.msc3874.rel_types': ['m.thread'] })).toEqual(['m.thread'])
    expect(await filtered(room, { ...messages, 'org.matrix.msc3874.not_rel_types': ['m.thread'] })).toEqual([
      'alone',
      'root',
    ])
  })

  test('messages, but not state, of ignored users are left out', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await room.member(CAROL, 'join')
    await room.message(BOB, 'spam')
    const content = JSON.stringify({ ignored_users: { [BOB]: {} } })
    await app.database.write((tx) => storeAccountData(tx, CAROL, { roomId: '', type: 'm.ignored_user_list', content }))
    expect(await bodies(room, CAROL, { limit: 2 })).toEqual(['join', 'join'])
    expect((await bodies(room, ALICE))[0]).toBe('spam')
  })

  test('lazy loading adds the senders as they were, and only them', async () => {
    const room = await createReadingRoom(app)
    await room.member(BOB, 'join')
    await room.member(CAROL, 'join')
    await room.message(CAROL, 'hi')
    await room.member(CAROL, 'join', CAROL, { displayname: 'renamed later' })
    const options = { filter: parseRoomEventFilter({ lazy_load_members: true, types: ['m.room.message'] }) }
    const page = await read(room, ALICE, options)
    expect(page.state!.map((event) => [event.state_key, event.content])).toEqual([[CAROL, { membership: 'join' }]])
    expect((await read(room, ALICE)).state).toBeUndefined()
  })
})
