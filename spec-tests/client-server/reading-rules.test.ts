import { beforeAll, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, relating, roomPath, sendEvent, sendState, v1, v3 } from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/**
 * The readable part of a room does not depend on the endpoint.
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 */
const { url } = inject('homeserver')

/** Alice's messages and state from while the reader is in the room contain `early`, later ones `late`. */
type Room = { roomId: string; early: string; late: string; since: string; events: string; start: string }
type Reader = TestUser

const path = ({ roomId }: Room, rest: string, base = v3) => roomPath(roomId, rest, base)
const slide = (user: Reader, body: object) => slidingClient(user, { connId: uniqueName() }).sync(body)
const STATE = [
  ['m.room.topic', ''],
  ['m.room.member', '*'],
]
/** Without the searched words. */
async function search(user: Reader, search_term: string): Promise<unknown> {
  const room_events = { search_term, order_by: 'recent', event_context: { before_limit: 9, after_limit: 9 } }
  const { search_categories } = await user.post(`${v3}/search`, { search_categories: { room_events } })
  return search_categories.room_events.results
}

/**
 * Each returns the reader's view of the room; an error is an empty view. `shows`: whether members get messages, or
 * state.
 */
const ENDPOINTS: Record<
  string,
  { shows: readonly ('said' | 'set')[]; read(user: Reader, room: Room): Promise<unknown> }
> = {
  'messages, backwards': {
    shows: ['said', 'set'],
    read: (user, room) => user.ask('GET', path(room, 'messages?dir=b&limit=99')),
  },
  'messages, forwards': {
    shows: ['said', 'set'],
    read: (user, room) => user.ask('GET', path(room, 'messages?dir=f&limit=99')),
  },
  'messages from a token of a member': {
    shows: ['said', 'set'],
    read: (user, room) => user.ask('GET', path(room, `messages?dir=b&limit=99&from=${room.start}`)),
  },
  event: {
    shows: ['said'],
    read: async (user, room) => [
      await user.ask('GET', path(room, eventPath('event', room.early))),
      await user.ask('GET', path(room, eventPath('event', room.late))),
    ],
  },
  '/events/{eventId}': {
    shows: ['said'],
    read: async (user, room) => [
      await user.ask('GET', `${v3}/${eventPath('events', room.early)}`),
      await user.ask('GET', `${v3}/${eventPath('events', room.late)}`),
    ],
  },
  context: {
    shows: ['said'],
    read: async (user, room) => [
      await user.ask('GET', path(room, `${eventPath('context', room.early)}?limit=99`)),
      await user.ask('GET', path(room, `${eventPath('context', room.late)}?limit=99`)),
    ],
  },
  state: { shows: ['set'], read: (user, room) => user.ask('GET', path(room, 'state')) },
  'one piece of state': { shows: ['set'], read: (user, room) => user.ask('GET', path(room, 'state/m.room.topic/')) },
  members: { shows: [], read: (user, room) => user.ask('GET', path(room, 'members')) },
  'members at a token': { shows: [], read: (user, room) => user.ask('GET', path(room, `members?at=${room.start}`)) },
  'joined members': { shows: [], read: (user, room) => user.ask('GET', path(room, 'joined_members')) },
  relations: {
    shows: ['said'],
    read: async (user, room) => [
      await user.ask('GET', path(room, eventPath('relations', room.early), v1)),
      await user.ask('GET', path(room, `${eventPath('relations', room.early)}/m.thread`, v1)),
      await user.ask('GET', path(room, eventPath('relations', room.late), v1)),
    ],
  },
  threads: { shows: ['said'], read: (user, room) => user.ask('GET', path(room, 'threads', v1)) },
  'timestamp to event': {
    shows: [],
    read: async (user, room) => {
      const { body } = await user.ask('GET', path(room, `timestamp_to_event?dir=b&ts=${Date.now()}`, v1))
      return body.event_id === undefined ? [] : user.ask('GET', path(room, eventPath('event', body.event_id)))
    },
  },
  search: {
    shows: [],
    read: async (user) => [await search(user, 'earlyword'), await search(user, 'lateword')],
  },
  'initialSync of the room': {
    shows: ['said', 'set'],
    read: (user, room) => user.ask('GET', path(room, 'initialSync?limit=99')),
  },
  '/initialSync': { shows: [], read: (user) => user.ask('GET', `${v3}/initialSync?limit=99&archived=true`) },
  '/events of the room': {
    shows: ['said', 'set'],
    read: (user, room) =>
      user.ask('GET', `${v3}/events?from=${room.events}&room_id=${encodeURIComponent(room.roomId)}`),
  },
  '/events': { shows: [], read: (user, room) => user.ask('GET', `${v3}/events?from=${room.events}`) },
  'an initial sync': {
    shows: [],
    read: (user) => {
      const filter = JSON.stringify({ room: { include_leave: true, timeline: { limit: 99 } } })
      return user.ask('GET', `${v3}/sync?filter=${encodeURIComponent(filter)}`)
    },
  },
  'an incremental sync': {
    shows: [],
    read: (user, room) => user.ask('GET', `${v3}/sync?since=${room.since}&full_state=true`),
  },
  'a list of sliding sync': {
    shows: [],
    read: (user) => slide(user, { lists: { all: { ranges: [[0, 99]], timeline_limit: 99, required_state: STATE } } }),
  },
  'a subscription of sliding sync': {
    shows: [],
    read: (user, room) =>
      slide(user, { room_subscriptions: { [room.roomId]: { timeline_limit: 99, required_state: STATE } } }),
  },
  notifications: { shows: [], read: (user) => user.ask('GET', `${v3}/notifications?limit=99`) },
  aliases: { shows: [], read: (user, room) => user.ask('GET', path(room, 'aliases')) },
  hierarchy: { shows: [], read: (user, room) => user.ask('GET', path(room, 'hierarchy', v1)) },
  summary: {
    shows: [],
    read: (user, room) => user.ask('GET', `${v1}/room_summary/${encodeURIComponent(room.roomId)}`),
  },
}

type Part = 'early' | 'late'
/** The reader's role, how they acquired it, and what they may read. */
const READERS: Record<
  string,
  { visibility: string; inside: boolean; become(room: string, by: Cast): Promise<unknown>; reads: Part[] }
> = {
  'was never in the room': { visibility: 'shared', inside: false, become: async () => {}, reads: [] },
  'is invited': {
    visibility: 'shared',
    inside: false,
    become: (roomId, { alice, bob }) => alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId }),
    reads: [],
  },
  'has left': {
    visibility: 'shared',
    inside: true,
    become: (roomId, { bob }) => bob.post(roomPath(roomId, 'leave')),
    reads: ['early'],
  },
  'was kicked': {
    visibility: 'shared',
    inside: true,
    become: (roomId, { alice, bob }) => alice.post(roomPath(roomId, 'kick'), { user_id: bob.userId }),
    reads: ['early'],
  },
  'was banned': {
    visibility: 'shared',
    inside: true,
    become: (roomId, { alice, bob }) => alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId }),
    reads: ['early'],
  },
  'has left and forgotten it': {
    visibility: 'shared',
    inside: true,
    become: async (roomId, { bob }) => {
      await bob.post(roomPath(roomId, 'leave'))
      await bob.post(roomPath(roomId, 'forget'))
    },
    reads: [],
  },
  'was banned and has forgotten it': {
    visibility: 'shared',
    inside: true,
    become: async (roomId, { alice, bob }) => {
      await alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId })
      await bob.post(roomPath(roomId, 'forget'))
    },
    reads: [],
  },
  'has forgotten it and is invited again': {
    visibility: 'shared',
    inside: true,
    become: async (roomId, { alice, bob }) => {
      await bob.post(roomPath(roomId, 'leave'))
      await bob.post(roomPath(roomId, 'forget'))
      await alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId })
    },
    reads: ['early'],
  },
  'is in it': { visibility: 'shared', inside: true, become: async () => {}, reads: ['early', 'late'] },
  'was never in it, but the world may read it': {
    visibility: 'world_readable',
    inside: false,
    become: async () => {},
    reads: ['early', 'late'],
  },
}
type Cast = { alice: TestUser; bob: TestUser }

describe.each(Object.keys(READERS))('a user who %s', (who) => {
  const { visibility, inside, become, reads } = READERS[who]!
  let bob: TestUser
  let room: Room

  beforeAll(async () => {
    const [alice, reader, carol] = (await Promise.all([1, 2, 3].map(() => registerUser(url)))) as [
      TestUser,
      TestUser,
      TestUser,
    ]
    bob = reader
    const roomId = await createRoom(alice, {
      preset: 'private_chat',
      invite: inside ? [bob.userId, carol.userId] : [carol.userId],
      initial_state: [
        { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: visibility } },
      ],
    })
    if (inside) await joinRoom(roomId, bob)
    const { next_batch: since } = await bob.get(`${v3}/sync`)
    const { end: events } = (await alice.get(roomPath(roomId, 'initialSync'))).messages
    await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'early topic' } })
    const early = await sendText(alice, roomId, `earlyword ${bob.userId}`)
    await sendEvent(alice, roomId, { ...(relating('m.thread', early) as object), body: 'earlyword reply' })
    await become(roomId, { alice, bob })
    await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'late topic' } })
    await sendEvent(alice, roomId, { ...(relating('m.thread', early) as object), body: 'lateword reply' })
    const content = { membership: 'join', displayname: 'late member' }
    await joinRoom(roomId, carol)
    await sendState(carol, roomId, { type: 'm.room.member', key: carol.userId, content })
    const late = await sendText(alice, roomId, `lateword ${bob.userId}`)
    const { start } = await alice.get(roomPath(roomId, 'messages?dir=b&limit=1'))
    room = { roomId, early, late, since, events, start }
    await pollUntil('all processes know it', async () =>
      JSON.stringify(await read('messages, backwards', alice)).includes(late),
    )
  })

  const read = (endpoint: string, user: Reader) => ENDPOINTS[endpoint]!.read(user, room)

  test.each(Object.keys(ENDPOINTS))('reads by %s no more than the rules allow', async (endpoint) => {
    const got = JSON.stringify(await read(endpoint, bob))
    const { shows } = ENDPOINTS[endpoint]!
    for (const part of ['early', 'late'] as const) {
      const mayRead = reads.includes(part)
      if (!mayRead) expect(got).not.toMatch(new RegExp(`${part}word|${part} member`))
      // Stripped state and summaries of a room are not its history.
      if (!mayRead && !who.includes('invited')) expect(got).not.toContain(`${part} topic`)
      if (mayRead && shows.includes('said')) expect(got).toContain(`${part}word`)
      if (part === reads.at(-1) && shows.includes('set')) expect(got).toContain(`${part} topic`)
    }
  })
})

test('another device learns that a room was left and forgotten, and nothing of what it had not read', async () => {
  const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  const client = slidingClient(bob)
  const { next_batch } = await bob.get(`${v3}/sync`)
  await client.sync({ lists: { all: { ranges: [[0, 9]], timeline_limit: 9, required_state: STATE } } })
  await sendText(alice, roomId, 'unread')
  await bob.post(roomPath(roomId, 'leave'))
  await bob.post(roomPath(roomId, 'forget'))
  const { rooms } = await client.until((body) => roomId in body.rooms)
  const { timeline } = (await bob.get(`${v3}/sync?since=${next_batch}`)).rooms.leave[roomId]
  for (const events of [rooms[roomId].timeline, timeline.events])
    expect(events).toMatchObject([{ type: 'm.room.member', content: { membership: 'leave' } }])
})
