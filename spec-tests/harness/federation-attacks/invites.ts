import { expect } from 'vitest'
import type { Event } from '../../../testing/matrix/pdu.ts'
import { type Answer, registerUser, type TestUser } from '../client.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import type { PeerRoom } from '../peer-room.ts'
import { createRoom, roomPath, sendState, v3 } from '../rooms.ts'
import { altered, expectRefused, inventedId, type Mallory, malloryIn, name, stageIn, stateSeen } from './mallory.ts'

/** Manipulated invites. */
type Body = { room_version: string; event: object; invite_room_state: unknown[] }
type Invite = { path: string; body: Body }

const MEMBER = { type: 'm.room.member', content: { membership: 'invite' } }

function inviteTo(room: PeerRoom, userId: string): Event {
  return room.make({ ...MEMBER, state_key: userId })
}

function invite(room: PeerRoom, event: Event): Invite {
  const invite_room_state = room.stateNow().map(({ pdu }) => pdu)
  return {
    path: `v2/invite/${name(room.roomId)}/${name(event.event_id)}`,
    body: { room_version: room.version.id, event: event.pdu, invite_room_state },
  }
}

async function invitesOf(user: TestUser): Promise<string[]> {
  return Object.keys((await user.get(`${v3}/sync?timeout=0`)).rooms?.invite ?? {})
}

type Change = (made: Invite & { event: Event; room: PeerRoom }, mallory: Mallory, victim: TestUser) => Partial<Invite>

/** Returns a row about a manipulated invite of a local user, who must not see it. */
function changedInvite(what: string, [status, errcode]: [number, string], change: Change): Attack {
  return {
    name: `invite: ${what}`,
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await registerUser(world.url)
      const room = mallory.peer.room()
      const event = inviteTo(room, victim.userId)
      const made = invite(room, event)
      const { path, body } = { ...made, ...change({ ...made, event, room }, mallory, victim) }
      expectRefused(await mallory.ask('PUT', path, body), status, errcode)
      expect(await invitesOf(victim)).toEqual([])
    },
  }
}

/** Changes the event, and the fields that name it. */
const eventChange =
  (fields: (made: { event: Event; room: PeerRoom }, mallory: Mallory, victim: TestUser) => object): Change =>
  ({ event, room }, mallory, victim) =>
    invite(room, altered(mallory, event, fields({ event, room }, mallory, victim)))

const bodyChange =
  (fields: (made: Invite & { event: Event; room: PeerRoom }, mallory: Mallory) => Partial<Body>): Change =>
  (made, mallory) => ({ body: { ...made.body, ...fields(made, mallory) } })

const INVALID: [number, string] = [400, 'M_INVALID_PARAM']

/** Invites a third-party address to a room of Alice, and returns the token. Nobody has the keys. */
async function inviteAddress({ alice }: HostileWorld, roomId: string): Promise<string> {
  const token = `token${Math.random()}`
  const key = { public_key: 'A'.repeat(43), key_validity_url: 'https://id.test/valid' }
  const content = { display_name: 'a...@b...', ...key, public_keys: [key] }
  await sendState(alice, roomId, { type: 'm.room.third_party_invite', key: token, content })
  return token
}

/** Returns a row about the exchange of a third-party invite. */
function exchanged(
  what: string,
  status: number,
  change: (body: Record<string, unknown>, world: HostileWorld, mallory: Mallory) => object,
): Attack {
  return {
    name: `third-party invite: ${what}`,
    async attempt(world) {
      const mallory = await malloryIn(world)
      const roomId = await createRoom(world.alice, { preset: 'private_chat' })
      const token = await inviteAddress(world, roomId)
      const target = `@bound${Math.random()}:${mallory.peer.serverName}`
      const signatures = { 'id.test': { 'ed25519:0': 'A'.repeat(86) } }
      const signed = { mxid: target, token, signatures }
      const content = { membership: 'invite', third_party_invite: { display_name: 'x', signed } }
      const body = { type: 'm.room.member', room_id: roomId, sender: world.alice.userId, state_key: target, content }
      const path = `v1/exchange_third_party_invite/${name(roomId)}`
      const answer: Answer = await mallory.ask('PUT', path, change(body, world, mallory))
      expect([answer.status, answer.body.error]).toEqual([status, expect.any(String)])
      expect(await stateSeen({ world, roomId }, 'm.room.member', target)).toBeUndefined()
    },
  }
}

/** With another `signed`. */
const signedChange = (body: Record<string, unknown>, change: object): object => {
  const { content } = body as { content: { third_party_invite: { signed: object } } }
  const signed = { ...content.third_party_invite.signed, ...change }
  return { ...body, content: { ...content, third_party_invite: { ...content.third_party_invite, signed } } }
}

export const INVITE_ATTACKS: Attack[] = [
  changedInvite('another event than the path says', INVALID, ({ room }) => ({
    path: `v2/invite/${name(room.roomId)}/${name(inventedId('other'))}`,
  })),
  changedInvite('another room than the path says', INVALID, ({ event }, { peer }) => ({
    path: `v2/invite/${name(peer.room().roomId)}/${name(event.event_id)}`,
  })),
  changedInvite(
    'of a version that is not that of the event',
    INVALID,
    bodyChange(() => ({ room_version: '11' })),
  ),
  changedInvite(
    'of version 1, by a new id',
    INVALID,
    bodyChange(() => ({ room_version: '1' })),
  ),
  changedInvite(
    'of a version that there is not',
    [400, 'M_INCOMPATIBLE_ROOM_VERSION'],
    bodyChange(() => ({ room_version: '__proto__' })),
  ),
  changedInvite(
    'a join',
    INVALID,
    eventChange(() => ({ content: { membership: 'join' } })),
  ),
  changedInvite(
    'a ban',
    INVALID,
    eventChange(() => ({ content: { membership: 'ban' } })),
  ),
  changedInvite(
    'a message',
    INVALID,
    eventChange(() => ({ type: 'm.room.message' })),
  ),
  changedInvite(
    'by a user of a third server',
    INVALID,
    eventChange((_, { world }) => ({ sender: world.peer.userId })),
  ),
  changedInvite(
    'by a user of the homeserver',
    INVALID,
    eventChange((_, { world }) => ({ sender: world.alice.userId })),
  ),
  changedInvite(
    'by the user who is invited',
    INVALID,
    eventChange((_, __, victim) => ({ sender: victim.userId })),
  ),
  changedInvite(
    'of a user of a third server',
    INVALID,
    eventChange((_, { world }) => ({ state_key: world.peer.userId })),
  ),
  changedInvite(
    'of nobody',
    INVALID,
    eventChange(() => ({ state_key: '' })),
  ),
  changedInvite(
    'of a user who is not there',
    [403, 'M_FORBIDDEN'],
    eventChange((_, { world }) => ({
      state_key: `@nobody:${world.home.serverName}`,
    })),
  ),
  changedInvite(
    'without a signature',
    INVALID,
    bodyChange(({ event }) => ({ event: { ...event.pdu, signatures: {} } })),
  ),
  changedInvite(
    'changed after it was signed',
    INVALID,
    bodyChange(({ event }) => ({ event: { ...event.pdu, depth: 7 } })),
  ),
  changedInvite(
    'with the create event of another room',
    INVALID,
    bodyChange((_, { peer }) => ({
      invite_room_state: peer
        .room()
        .stateNow()
        .map(({ pdu }) => pdu),
    })),
  ),
  changedInvite(
    'with a create event that was changed',
    INVALID,
    bodyChange(({ body }) => ({
      invite_room_state: body.invite_room_state.map((pdu) => ({ ...(pdu as object), content: { forged: true } })),
    })),
  ),
  changedInvite(
    'with a create event that is no object',
    INVALID,
    bodyChange(() => ({ invite_room_state: [5, null, [], 'x'] })),
  ),
  {
    name: 'invite: of Alice to her own room, where she stays what she is',
    async attempt(world) {
      const stage = await stageIn(world)
      const event = stage.room.make({ ...MEMBER, state_key: world.alice.userId })
      const { path, body } = invite(stage.room, event)
      const { status } = await stage.ask('PUT', path, body)
      expect(status).toBeLessThan(500)
      expect((await stateSeen(stage, 'm.room.member', world.alice.userId))?.membership).toBe('join')
      expect(await invitesOf(world.alice)).not.toContain(stage.roomId)
    },
  },
  {
    name: 'invite: of somebody else to a room of Alice, in which the server may invite nobody',
    async attempt(world) {
      const stage = await stageIn(world, { power_level_content_override: { invite: 100 } })
      const victim = await registerUser(world.url)
      const { path, body } = invite(stage.room, inviteTo(stage.room, victim.userId))
      await stage.ask('PUT', path, body)
      expect(await stateSeen(stage, 'm.room.member', victim.userId)).toBeUndefined()
      expect(await invitesOf(victim)).not.toContain(stage.roomId)
    },
  },
  {
    name: 'invite: with two thousand pieces of state, and names that are no text',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await registerUser(world.url)
      const room = mallory.peer.room({ version: '11' })
      const { path, body } = invite(room, inviteTo(room, victim.userId))
      const odd = { type: 'm.room.name', state_key: '', sender: room.creator, content: { name: { forged: [1] } } }
      const invite_room_state = Array.from({ length: 2000 }, (_, i) => ({ ...odd, state_key: `${i % 2 ? i : ''}` }))
      const { status } = await mallory.ask('PUT', path, { ...body, invite_room_state })
      expect(status).toBeLessThan(500)
      const { rooms } = await victim.get(`${v3}/sync?timeout=0`)
      const { events } = rooms?.invite?.[room.roomId]?.invite_state ?? { events: [] }
      expect(events.length).toBeLessThan(200)
    },
  },
  {
    name: 'invite: taken back by somebody else than who made it',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const victim = await registerUser(world.url)
      const room = mallory.peer.room()
      const event = inviteTo(room, victim.userId)
      const { path, body } = invite(room, event)
      expect((await mallory.ask('PUT', path, body)).status).toBe(200)
      const version = room.version.id
      const leave = (sender: string, auth_events: string[]) =>
        altered(mallory, event, { sender, auth_events, content: { membership: 'leave' } }, version)
      const others = [
        leave(`@other:${mallory.peer.serverName}`, [event.event_id]),
        leave(world.peer.userId, [event.event_id]),
        leave(room.creator, []),
      ]
      await mallory.peer.send(world.home, others)
      expect(await invitesOf(victim)).toEqual([room.roomId])
    },
  },
  exchanged('signed by nobody whom the room names', 403, (body) => body),
  exchanged('without signatures', 403, (body) => signedChange(body, { signatures: {} })),
  exchanged('signed for another user', 400, (body) => signedChange(body, { mxid: '@other:elsewhere.test' })),
  exchanged('with a token that the room does not know', 403, (body) => signedChange(body, { token: 'unknown' })),
  exchanged('with a token that is no text', 400, (body) => signedChange(body, { token: ['x'] })),
  exchanged('for a user of a third server', 403, (body, { peer }) => ({ ...body, state_key: peer.userId })),
  exchanged('for a user of the homeserver', 403, (body, { bob }) => ({ ...body, state_key: bob.userId })),
  exchanged('of another room than the path says', 400, (body, { roomId }) => ({ ...body, room_id: roomId })),
  exchanged('by a user who is not in the room', 403, (body, { bob }) => ({ ...body, sender: bob.userId })),
  exchanged('by a user of the server that asks', 403, (body, _, { userId }) => ({ ...body, sender: userId })),
  exchanged('as a join', 400, (body) => ({ ...body, content: { membership: 'join' } })),
  ...(['PUT', 'POST'] as const).map(
    (method): Attack => ({
      name: `third-party invite: an address bound to Bob by nobody, told by ${method}`,
      async attempt(world) {
        const mallory = await malloryIn(world)
        const roomId = await createRoom(world.alice, { preset: 'private_chat' })
        const token = await inviteAddress(world, roomId)
        const signed = { mxid: world.bob.userId, token, signatures: { 'id.test': { 'ed25519:0': 'A'.repeat(86) } } }
        const invites = [{ room_id: roomId, sender: world.alice.userId, signed }]
        const body = { medium: 'email', address: 'a@b.test', mxid: world.bob.userId, invites }
        expect((await mallory.ask(method, 'v1/3pid/onbind', body)).status).toBe(200)
        expect(await stateSeen({ world, roomId }, 'm.room.member', world.bob.userId)).toBeUndefined()
        expect(await invitesOf(world.bob)).not.toContain(roomId)
      },
    }),
  ),
  {
    name: 'third-party invite: a hundred and one rooms at once',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const invites = Array.from({ length: 101 }, () => ({
        room_id: world.roomId,
        sender: world.alice.userId,
        signed: {},
      }))
      const body = { medium: 'email', address: 'a@b.test', mxid: world.bob.userId, invites }
      expect((await mallory.ask('POST', 'v1/3pid/onbind', body)).status).toBe(400)
    },
  },
  {
    name: 'invite: an answer of the server of who is invited that changes the invite',
    async attempt(world) {
      const mallory = await malloryIn(world)
      const { peer } = mallory
      const roomId = await createRoom(world.alice)
      const target = `@guest:${peer.serverName}`
      for (const change of [
        { content: { membership: 'join' } },
        { sender: target, state_key: target },
        { signatures: {} },
        { depth: 1 },
      ]) {
        peer.lie('invite', (asked) => {
          const { event } = asked.body as { event: object }
          return { event: { ...event, ...change } }
        })
        const answer = await world.alice.ask('POST', roomPath(roomId, 'invite'), { user_id: target })
        expectRefused(answer, 502, 'M_UNKNOWN')
      }
      peer.lie('invite', undefined)
      expect(await stateSeen({ world, roomId }, 'm.room.member', target)).toBeUndefined()
    },
  },
]
