import { expect } from 'vitest'
import type { EventDraft } from '../../../testing/matrix/events.ts'
import type { Event, Pdu, UserId } from '../../../testing/matrix/pdu.ts'
import type { Answer } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { createRoom, joinRoom, roomPath, sendState, v3 } from '../rooms.ts'
import { prepareMember } from '../visit-room.ts'
import { altered, expectRefused, inventedId, type Mallory, malloryIn, name, stateSeen } from './mallory.ts'

/** Forbidden joins, leaves and knocks of servers. */
type Submission = { roomId: string; event: Event; path?: string; membership?: string }

/** Submits a member event, and returns the response. */
function submit(mallory: Mallory, verb: string, { roomId, event, path }: Submission): Promise<Answer> {
  const parts = path ?? `${name(roomId)}/${name(event.event_id)}`
  return mallory.ask('PUT', `${verb}/${parts}`, event.pdu)
}

async function prepared(mallory: Mallory, roomId: string, membership: 'join' | 'leave' | 'knock', userId?: UserId) {
  const wish = { roomId, membership, ...(userId && { userId }) }
  return (await prepareMember(mallory.peer, mallory.world.home, wish)).event
}

/** Counts the users of the hostile server, each of whom is in no room yet. */
let users = 0
const newUser = ({ peer }: Mallory) => `@new${++users}:${peer.serverName}` as UserId

async function expectOutside(world: HostileWorld, roomId: string, userId: string): Promise<void> {
  const member = await stateSeen({ world, roomId }, 'm.room.member', userId)
  expect(member?.membership ?? 'leave').not.toBe('join')
}

/** Returns a row about a join that is changed after the homeserver has returned its template. */
function changedJoin(
  what: string,
  [status, errcode]: [number, string],
  change: (event: Event, mallory: Mallory, world: HostileWorld) => object,
): Attack {
  return {
    name: `send_join of ${what}`,
    async attempt(world) {
      const mallory = await malloryIn(world)
      const userId = newUser(mallory)
      const roomId = await createRoom(world.alice)
      const join = await prepared(mallory, roomId, 'join', userId)
      const event = altered(mallory, join, change(join, mallory, world))
      for (const verb of ['v2/send_join', 'v1/send_join'])
        expectRefused(await submit(mallory, verb, { roomId, event }), status, errcode)
      await expectOutside(world, roomId, userId)
    },
  }
}

/** Creates a restricted room of Alice and Bob, where only Alice may invite. */
async function restrictedRoom({ alice, bob }: HostileWorld, allowed: string): Promise<string> {
  const allow = [{ type: 'm.room_membership', room_id: allowed }]
  const rules = { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }
  const options = { initial_state: [rules], power_level_content_override: { invite: 50 } }
  const roomId = await createRoom(alice, { preset: 'private_chat', ...options })
  await alice.post(roomPath(roomId, 'invite'), { user_id: bob.userId })
  await joinRoom(roomId, bob)
  return roomId
}

/** Returns a row about a join of a restricted room; `isMember`: whether the user is in the allowed room. */
function restrictedJoin(
  what: string,
  { isMember }: { isMember: boolean },
  authoriser: (world: HostileWorld, mallory: Mallory) => string | undefined,
): Attack {
  return {
    name: `send_join into a restricted room, ${what}`,
    async attempt(world) {
      const mallory = await malloryIn(world)
      const userId = newUser(mallory)
      const allowed = await createRoom(world.alice)
      const template = await prepared(mallory, allowed, 'join', userId)
      if (isMember) await submit(mallory, 'v2/send_join', { roomId: allowed, event: template })
      const roomId = await restrictedRoom(world, allowed)
      const state: { type: string; state_key: string; event_id: string }[] = await world.alice.get(
        roomPath(roomId, 'state'),
      )
      const idOf = (type: string, key = '') =>
        state.find((event) => event.type === type && event.state_key === key)?.event_id ?? []
      const named = authoriser(world, mallory)
      const auth_events = ['m.room.power_levels', 'm.room.join_rules'].flatMap((type) => idOf(type))
      if (named !== undefined) auth_events.push(...[idOf('m.room.member', named)].flat())
      const content = { membership: 'join', ...(named && { join_authorised_via_users_server: named }) }
      const prev_events = [idOf('m.room.member', world.bob.userId)]
      const event = altered(mallory, template, { room_id: roomId, content, auth_events, prev_events })
      const answer = await submit(mallory, 'v2/send_join', { roomId, event })
      expect([400, 403], JSON.stringify(answer.body)).toContain(answer.status)
      await expectOutside(world, roomId, userId)
      // The same in a transaction.
      await mallory.peer.send(world.home, [event])
      await expectOutside(world, roomId, userId)
    },
  }
}

export const MEMBER_ATTACKS: Attack[] = [
  changedJoin('a message', [400, 'M_INVALID_PARAM'], () => ({ type: 'm.room.message' })),
  changedJoin('a leave', [400, 'M_INVALID_PARAM'], () => ({ content: { membership: 'leave' } })),
  changedJoin('an invite', [400, 'M_INVALID_PARAM'], () => ({ content: { membership: 'invite' } })),
  changedJoin('a ban', [400, 'M_INVALID_PARAM'], () => ({ content: { membership: 'ban' } })),
  changedJoin('no membership', [400, 'M_INVALID_PARAM'], () => ({ content: {} })),
  changedJoin('another user than the sender', [400, 'M_INVALID_PARAM'], (_, { userId }) => ({ state_key: userId })),
  changedJoin('a user of the homeserver', [400, 'M_INVALID_PARAM'], (_, __, { alice }) => ({
    sender: alice.userId,
    state_key: alice.userId,
  })),
  changedJoin('a user of a third server', [400, 'M_INVALID_PARAM'], (_, __, { peer }) => ({
    sender: peer.userId,
    state_key: peer.userId,
  })),
  changedJoin('no state_key', [400, 'M_INVALID_PARAM'], () => ({ state_key: undefined })),
  changedJoin('another room', [400, 'M_INVALID_PARAM'], (_, __, { roomId }) => ({ room_id: roomId })),
  changedJoin('a room id of another version', [400, 'M_INVALID_PARAM'], (event) => ({
    room_id: `${event.room_id}:elsewhere.test`,
  })),
  changedJoin('an event that cites the create event', [403, 'M_FORBIDDEN'], (event) => ({
    auth_events: [...event.auth_event_ids, `$${event.room_id.slice(1)}`],
  })),
  changedJoin('an event that cites nothing', [403, 'M_FORBIDDEN'], () => ({ auth_events: [] })),
  {
    name: 'send_join of an event with another id than the path says',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const event = await prepared(mallory, roomId, 'join', userId)
      for (const path of [
        `${name(roomId)}/${name(inventedId('other'))}`,
        `${name(world.roomId)}/${name(event.event_id)}`,
      ])
        expectRefused(await submit(mallory, 'v2/send_join', { roomId, event, path }), 400, 'M_INVALID_PARAM')
      await expectOutside(world, roomId, userId)
    },
  },
  {
    name: 'send_join without a signature, with one that does not fit, and changed after it was signed',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const event = await prepared(mallory, roomId, 'join', userId)
      const forged = { [mallory.peer.serverName]: { [mallory.peer.signer.keyId]: 'A'.repeat(86) } }
      for (const change of [{ signatures: {} }, { signatures: forged }, { depth: 77 }]) {
        const pdu = { ...event.pdu, ...change } as Pdu
        const answer = await submit(mallory, 'v2/send_join', { roomId, event: { ...event, pdu } })
        expectRefused(answer, 400, 'M_INVALID_PARAM')
      }
      await expectOutside(world, roomId, userId)
    },
  },
  {
    name: 'send_join with predecessors that nobody has',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const change = { prev_events: [inventedId('nowhere')] } as Partial<EventDraft>
      const wish = { roomId, userId, membership: 'join' as const, change }
      const { event } = await prepareMember(mallory.peer, world.home, wish)
      const answer = await submit(mallory, 'v2/send_join', { roomId, event })
      expect([400, 403, 404]).toContain(answer.status)
      await expectOutside(world, roomId, userId)
    },
  },
  {
    name: 'send_join by a template from when the room was open',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const event = await prepared(mallory, roomId, 'join', userId)
      await sendState(world.alice, roomId, { type: 'm.room.join_rules', content: { join_rule: 'invite' } })
      expectRefused(await submit(mallory, 'v2/send_join', { roomId, event }), 403, 'M_FORBIDDEN')
      await expectOutside(world, roomId, userId)
    },
  },
  {
    name: 'send_join of a user who has been banned since the template',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const event = await prepared(mallory, roomId, 'join', userId)
      await world.alice.post(roomPath(roomId, 'ban'), { user_id: userId })
      expectRefused(await submit(mallory, 'v2/send_join', { roomId, event }), 403, 'M_FORBIDDEN')
      expect((await stateSeen({ world, roomId }, 'm.room.member', userId))?.membership).toBe('ban')
    },
  },
  restrictedJoin('of somebody who is in none of the rooms', { isMember: false }, ({ alice }) => alice.userId),
  restrictedJoin('without anybody who lets them in', { isMember: true }, () => undefined),
  restrictedJoin('in the name of Bob, who may not invite', { isMember: true }, ({ bob }) => bob.userId),
  restrictedJoin('in the name of a user who is not there', { isMember: true }, ({ home }) => `@no:${home.serverName}`),
  restrictedJoin('in the name of a user of their own server', { isMember: true }, (_, { userId }) => userId),
  restrictedJoin('in the name of a user of a third server', { isMember: true }, ({ peer }) => peer.userId),
  restrictedJoin('in the name of what is no user', { isMember: true }, () => 'nobody'),
  {
    name: 'make_join for users of others, to rooms that are not there, closed, and of versions that are not known',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const userId = newUser(mallory)
      const [open, closed] = [await createRoom(world.alice), await createRoom(world.alice, { preset: 'private_chat' })]
      const make = (room: string, user: string, versions: string) =>
        mallory.ask('GET', `v1/make_join/${name(room)}/${name(user)}?${versions}`)
      expectRefused(await make(open, world.alice.userId, 'ver=12'), 403, 'M_FORBIDDEN')
      expectRefused(await make(open, world.peer.userId, 'ver=12'), 403, 'M_FORBIDDEN')
      expectRefused(await make('!nowhere:elsewhere.test', userId, 'ver=12'), 404, 'M_NOT_FOUND')
      expectRefused(await make(closed, userId, 'ver=12'), 403, 'M_FORBIDDEN')
      expectRefused(await make(open, userId, 'ver=1&ver=11'), 400, 'M_INCOMPATIBLE_ROOM_VERSION')
      expectRefused(await make(open, userId, 'ver=__proto__&ver=99'), 400, 'M_INCOMPATIBLE_ROOM_VERSION')
    },
  },
  ...(['v1/send_leave', 'v2/send_leave'] as const).map(
    (verb): Attack => ({
      name: `${verb} of joins, of others, and of who was never there`,
      async attempt(world) {
        const mallory = await malloryIn(world)
        const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
        const join = await prepared(mallory, roomId, 'join', userId)
        const leave = altered(mallory, join, { content: { membership: 'leave' } })
        const others = { sender: world.alice.userId, state_key: world.alice.userId }
        for (const event of [join, altered(mallory, leave, others), altered(mallory, leave, { type: 'm.room.name' })])
          expectRefused(await submit(mallory, verb, { roomId, event }), 400, 'M_INVALID_PARAM')
        expectRefused(await submit(mallory, verb, { roomId, event: leave }), 403, 'M_FORBIDDEN')
        expect((await stateSeen({ world, roomId }, 'm.room.member', world.alice.userId))?.membership).toBe('join')
      },
    }),
  ),
  {
    name: 'send_knock of joins, and on a room that takes none',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const join = await prepared(mallory, roomId, 'join', userId)
      expectRefused(await submit(mallory, 'v1/send_knock', { roomId, event: join }), 400, 'M_INVALID_PARAM')
      const knock = altered(mallory, join, { content: { membership: 'knock' } })
      expectRefused(await submit(mallory, 'v1/send_knock', { roomId, event: knock }), 403, 'M_FORBIDDEN')
      const make = await mallory.ask('GET', `v1/make_knock/${name(roomId)}/${name(userId)}?ver=12`)
      expectRefused(make, 403, 'M_FORBIDDEN')
      await expectOutside(world, roomId, userId)
    },
  },
  {
    name: 'joins, knocks and leaves of a server that the room keeps out',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const [roomId, userId] = [await createRoom(world.alice), newUser(mallory)]
      const event = await prepared(mallory, roomId, 'join', userId)
      await sendState(world.alice, roomId, {
        type: 'm.room.server_acl',
        content: { allow: ['*'], deny: ['localhost', mallory.peer.serverName] },
      })
      for (const verb of ['join', 'knock', 'leave']) {
        const make = await mallory.ask('GET', `v1/make_${verb}/${name(roomId)}/${name(userId)}?ver=12`)
        expectRefused(make, 403, 'M_FORBIDDEN')
      }
      for (const verb of ['v1/send_join', 'v2/send_join', 'v1/send_leave', 'v2/send_leave', 'v1/send_knock'])
        expectRefused(await submit(mallory, verb, { roomId, event }), 403, 'M_FORBIDDEN')
      await expectOutside(world, roomId, userId)
    },
  },
  ...Object.entries<(event: Record<string, unknown>, world: HostileWorld) => object>({
    'of power levels': (event) => ({ ...event, type: 'm.room.power_levels', state_key: '' }),
    'in the name of another user': (event, { bob }) => ({ ...event, sender: bob.userId, state_key: bob.userId }),
    'about another user': (event, { bob }) => ({ ...event, state_key: bob.userId }),
    'of a ban': (event) => ({ ...event, content: { membership: 'ban' } }),
    'of another room': (event, { roomId }) => ({ ...event, room_id: roomId }),
    'of a redaction': (event, { eventId }) => ({ ...event, type: 'm.room.redaction', content: { redacts: eventId } }),
    'without depth': ({ depth: _, ...event }) => event,
    'of a depth beyond 2^53': (event) => ({ ...event, depth: 2 ** 60 }),
  }).map(
    ([what, change]): Attack => ({
      name: `a template ${what}, for a join of Alice`,
      async attempt(world) {
        const { peer } = await malloryIn(world)
        const room = peer.room()
        peer.lie('make_join', (asked) => {
          const honest = peer.honestly(asked) as { event: Record<string, unknown> }
          return { ...honest, event: change(honest.event, world) }
        })
        const before = peer.count('send_join')
        const path = `${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`
        expectRefused(await world.alice.ask('POST', path, {}), 502, 'M_UNKNOWN')
        expect(peer.count('send_join')).toBe(before)
        peer.lie('make_join', undefined)
      },
    }),
  ),
  {
    name: 'a template with more content than Alice wants to sign',
    async attempt(world) {
      const { peer } = await malloryIn(world)
      const room = peer.room({ version: '11' })
      const more = { displayname: 'Forged', avatar_url: 'mxc://forged/x', org_example: { forged: true } }
      peer.lie('make_join', (asked) => {
        const honest = peer.honestly(asked) as { event: { content: object } }
        return { ...honest, event: { ...honest.event, content: { ...more, ...honest.event.content } } }
      })
      await world.alice.post(`${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`)
      peer.lie('make_join', undefined)
      const join = room.stateNow().find(({ pdu }) => pdu.state_key === world.alice.userId)!
      expect(JSON.stringify(join.pdu)).not.toMatch(/forged/i)
    },
  },
  ...Object.entries<
    (answer: { state: Pdu[]; auth_chain: Pdu[]; event: Pdu }, world: HostileWorld, mallory: Mallory) => object
  >({
    'without a create event': (answer) => ({
      ...answer,
      state: answer.state.filter(({ type }) => type !== 'm.room.create'),
      auth_chain: [],
    }),
    'of another room': (answer, _, { peer }) => ({
      ...answer,
      state: peer
        .room()
        .stateNow()
        .map(({ pdu }) => pdu),
    }),
    'of nothing': (answer) => ({ ...answer, state: [], auth_chain: [] }),
    'with the join of another user': (answer, _, { peer, userId }) => ({
      ...answer,
      event: { ...answer.event, sender: userId, state_key: userId, signatures: { [peer.serverName]: {} } },
    }),
  }).map(
    ([what, change]): Attack => ({
      name: `an answer to a join ${what}`,
      async attempt(world) {
        const mallory = await malloryIn(world)
        const { peer } = mallory
        const room = peer.room()
        peer.lie('send_join', (asked) => change(peer.honestly(asked) as never, world, mallory))
        const path = `${v3}/join/${name(room.roomId)}?via=${name(peer.serverName)}`
        expectRefused(await world.alice.ask('POST', path, {}), 502, 'M_UNKNOWN')
        peer.lie('send_join', undefined)
        const { rooms } = await world.alice.get(`${v3}/sync?timeout=0`)
        expect(rooms?.join ?? {}).not.toHaveProperty([room.roomId])
        // It does not affect the next attempt.
        expect((await world.alice.ask('POST', path, {})).status).toBe(200)
      },
    }),
  ),
]
