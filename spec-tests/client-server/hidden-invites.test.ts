import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, ignore, roomPath, v3 } from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** Invites that a user does not want reach no client, by any endpoint. */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let carol: TestUser
let before: { since: string; events: string }

beforeEach(async () => {
  ;[alice, bob, carol] = (await Promise.all([1, 2, 3].map(() => registerUser(url)))) as [TestUser, TestUser, TestUser]
  const { next_batch: since } = await alice.get(`${v3}/sync`)
  before = { since, events: (await alice.get(`${v3}/initialSync`)).end }
})

const store = (type: string, content: object) =>
  alice.put(`${v3}/user/${encodeURIComponent(alice.userId)}/account_data/${type}`, content)
const invitation = (by: TestUser) =>
  createRoom(by, {
    preset: 'private_chat',
    invite: [alice.userId],
    initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'invited' } }],
  })

/** How Alice blocks Bob's invites. */
const HIDING: Record<string, () => Promise<unknown>> = {
  'ignores the inviter': () => ignore(alice, bob),
  'ignores the inviter’s invites': () =>
    store('org.matrix.msc4155.invite_permission_config', { ignored_users: [bob.userId] }),
}
const BLOCKING: Record<string, () => Promise<unknown>> = {
  ...HIDING,
  'blocks the inviter': () => store('org.matrix.msc4155.invite_permission_config', { blocked_users: [bob.userId] }),
  'blocks all but friends': () =>
    store('org.matrix.msc4155.invite_permission_config', { allowed_users: [carol.userId], blocked_servers: ['*'] }),
}

const LIST = { ranges: [[0, 9]], timeline_limit: 5, required_state: [] }
const slide = (body: object) => slidingClient(alice, { connId: uniqueName() }).sync(body)

/** The rooms that Alice gets, by each endpoint. */
const WAYS: Record<string, (rooms: readonly string[]) => Promise<string[]>> = {
  'an initial sync': async () => roomsOf((await alice.get(`${v3}/sync`)).rooms),
  'an incremental sync': async () => roomsOf((await alice.get(`${v3}/sync?since=${before.since}`)).rooms),
  'a sync with left rooms': async () => {
    const filter = encodeURIComponent(JSON.stringify({ room: { include_leave: true } }))
    return roomsOf((await alice.get(`${v3}/sync?filter=${filter}`)).rooms)
  },
  'a list of sliding sync': async () => Object.keys((await slide({ lists: { all: LIST } })).rooms),
  'a list of invites of sliding sync': async () => {
    const { rooms } = await slide({ lists: { all: { ...LIST, filters: { is_invite: true } } } })
    return Object.keys(rooms)
  },
  'subscriptions of sliding sync': async (rooms) => {
    const subscription = { timeline_limit: 5, required_state: [] }
    const body = { room_subscriptions: Object.fromEntries(rooms.map((room) => [room, subscription])) }
    return Object.keys((await slide(body)).rooms)
  },
  '/initialSync': async () => idsOf((await alice.get(`${v3}/initialSync`)).rooms),
  '/initialSync with left rooms': async () => idsOf((await alice.get(`${v3}/initialSync?archived=true`)).rooms),
  '/events': async () => idsOf((await alice.get(`${v3}/events?from=${before.events}`)).chunk),
  '/notifications': async () => idsOf((await alice.get(`${v3}/notifications`)).notifications),
}
const idsOf = (all: readonly { room_id: string }[]) => all.map(({ room_id }) => room_id)
const roomsOf = (sections: Record<string, object> = {}) => Object.values(sections).flatMap(Object.keys)

describe.each(Object.keys(WAYS))('%s', (way) => {
  test('tells of invites that are wanted', async () => {
    if (way === '/notifications') return
    const wanted = await invitation(carol)
    await pollUntil('the invite arrives', async () => (await WAYS[way]!([wanted])).includes(wanted))
  })

  test.each(Object.keys(BLOCKING))('tells nothing of invites from before the user %s', async (how) => {
    const [hidden, wanted] = [await invitation(bob), await invitation(carol)]
    await WAYS[way]!([hidden, wanted])
    await BLOCKING[how]!()
    await settled(way, hidden, wanted)
  })

  test.each(Object.keys(HIDING))('tells nothing of later ones when the user %s', async (how) => {
    await HIDING[how]!()
    const [hidden, wanted] = [await invitation(bob), await invitation(carol)]
    await settled(way, hidden, wanted)
  })

  test('tells nothing of their end', async () => {
    await ignore(alice, bob)
    const [hidden, wanted] = [await invitation(bob), await invitation(carol)]
    await bob.post(roomPath(hidden, 'kick'), { user_id: alice.userId })
    await settled(way, hidden, wanted)
  })
})

/** Waits until the wanted invite arrives, and asserts that the other does not. */
async function settled(way: string, hidden: string, wanted: string): Promise<void> {
  const first = Object.keys(WAYS)[0]!
  await pollUntil('the wanted invite arrives', async () => (await WAYS[first]!([])).includes(wanted))
  const told = await WAYS[way]!([hidden, wanted])
  expect(told).not.toContain(hidden)
  if (way !== '/notifications') expect(told).toContain(wanted)
}

test('lists of sliding sync do not count them, nor do they wake a connection', async () => {
  await ignore(alice, bob)
  const client = slidingClient(alice)
  await client.sync({ lists: { all: LIST } })
  const hidden = await invitation(bob)
  expect((await slide({ lists: { all: LIST } })).lists.all.count).toBe(0)
  const waiting = client.sync(undefined, { timeout: 10_000 })
  const wanted = await invitation(carol)
  const told = await waiting
  expect(Object.keys(told.rooms)).toEqual([wanted])
  expect(told.lists.all.count).toBe(1)
  await ignore(alice)
  const again = await client.until(({ rooms }) => hidden in rooms)
  expect(again.lists.all.count).toBe(2)
})

test('a user who was in the room learns of being sent away by somebody whom they ignore', async () => {
  const roomId = await createRoom(bob)
  await alice.post(roomPath(roomId, 'join'))
  await ignore(alice, bob)
  const client = slidingClient(alice)
  await client.sync({ lists: { all: LIST } })
  await bob.post(roomPath(roomId, 'kick'), { user_id: alice.userId })
  await client.until(({ rooms }) => roomId in rooms)
  expect(roomsOf((await alice.get(`${v3}/sync?since=${before.since}`)).rooms)).toContain(roomId)
})
