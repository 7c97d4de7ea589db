import type { Event } from '../../testing/matrix/pdu.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import type { Answer, TestUser } from './client.ts'
import type { TestHearth } from './hearth.ts'
import { DEVICE_ID, type RequestKind } from './honest-answers.ts'
import { inviteFromPeer } from './invite-from-peer.ts'
import type { LyingServer } from './lying-server.ts'
import type { PeerRoom } from './peer-room.ts'
import { createRoom, eventPath, roomPath, sendState, v1, v3 } from './rooms.ts'

/** A user of Hearth, and a peer with a room for every errand. */
export type Scene = {
  hearth: TestHearth
  peer: LyingServer
  user: TestUser
  /** A room of the peer that the user is in. */
  shared: PeerRoom
  /** The latest message before the user joined. */
  past: Event
  /**
   * Rooms of the peer that the user is not in: one to join; one where only `send_join` gets a bad response; the same
   * for knocking.
   */
  toJoin: PeerRoom
  toSendJoin: PeerRoom
  toKnock: PeerRoom
  toSendKnock: PeerRoom
  /** Rooms to which the peer invites the user, who rejects the invites. */
  toRefuse: PeerRoom
  toSendRefusal: PeerRoom
  /** A room of the peer with the peer as its policy server. */
  policed: PeerRoom
  /** Rooms of the user: one to invite to, and a space with a room of the peer. */
  own: string
  space: string
}

/** A client request for which Hearth has to ask another server. */
export type Errand = {
  /** The kinds of requests that get a bad response. */
  kinds: readonly RequestKind[]
  ask(scene: Scene): Promise<Answer>
  /**
   * The client's response after a bad response of the other server. `direct`: the other server's refusal, else 502. `in
   * turn`: the same, but too many requests are no refusal.
   */
  failure: 'direct' | 'in turn' | 'not found' | 'none'
  /** Whether the response to a successful request is correct. */
  isDone(body: Answer['body'], scene: Scene): unknown
}

const encoded = encodeURIComponent
const userOf = (peer: LyingServer, name: string) => `@${name}:${peer.serverName}`
const joinPath = (room: PeerRoom, peer: LyingServer, verb = 'join') =>
  `${v3}/${verb}/${encoded(room.roomId)}?via=${encoded(peer.serverName)}`
const queried = (body: Answer['body'], userId: string) => body.device_keys[userId]?.[DEVICE_ID]?.user_id === userId

export const ERRANDS = {
  profile: {
    kinds: ['profile'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('GET', `${v3}/profile/${encoded(userOf(peer, 'p'))}`),
    isDone: (body) => body.displayname === 'Peer',
  },
  alias: {
    kinds: ['directory'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('GET', `${v3}/directory/room/${encoded(`#a:${peer.serverName}`)}`),
    isDone: (body, { peer }) => body.room_id === [...peer.rooms.keys()][0],
  },
  'join by alias': {
    kinds: ['directory'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('POST', `${v3}/join/${encoded(`#a:${peer.serverName}`)}`, {}),
    isDone: (body, { peer }) => body.room_id === [...peer.rooms.keys()][0],
  },
  'public rooms': {
    kinds: ['public_rooms'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('GET', `${v3}/publicRooms?server=${encoded(peer.serverName)}`),
    isDone: (body) => body.chunk.length > 0,
  },
  'search in public rooms': {
    kinds: ['public_rooms'],
    failure: 'direct',
    ask: ({ user, peer }) =>
      user.ask('POST', `${v3}/publicRooms?server=${encoded(peer.serverName)}`, {
        filter: { generic_search_term: 'x' },
      }),
    isDone: (body) => body.chunk.length > 0,
  },
  summary: {
    kinds: ['hierarchy'],
    failure: 'not found',
    ask: ({ user, peer, toJoin }) =>
      user.ask('GET', `${v1}/room_summary/${encoded(toJoin.roomId)}?via=${encoded(peer.serverName)}`),
    isDone: (body, { toJoin }) => body.room_id === toJoin.roomId,
  },
  hierarchy: {
    kinds: ['hierarchy'],
    failure: 'none',
    ask: ({ user, space }) => user.ask('GET', roomPath(space, 'hierarchy', v1)),
    isDone: (body) => body.rooms.length === 2,
  },
  join: {
    kinds: ['make_join'],
    failure: 'in turn',
    ask: ({ user, peer, toJoin }) => user.ask('POST', joinPath(toJoin, peer), {}),
    isDone: (body, { toJoin }) => body.room_id === toJoin.roomId,
  },
  'the second half of a join': {
    kinds: ['send_join'],
    failure: 'in turn',
    ask: ({ user, peer, toSendJoin }) => user.ask('POST', joinPath(toSendJoin, peer), {}),
    isDone: (body, { toSendJoin }) => body.room_id === toSendJoin.roomId,
  },
  knock: {
    kinds: ['make_knock'],
    failure: 'in turn',
    ask: ({ user, peer, toKnock }) => user.ask('POST', joinPath(toKnock, peer, 'knock'), {}),
    isDone: (body, { toKnock }) => body.room_id === toKnock.roomId,
  },
  'the second half of a knock': {
    kinds: ['send_knock'],
    failure: 'in turn',
    ask: ({ user, peer, toSendKnock }) => user.ask('POST', joinPath(toSendKnock, peer, 'knock'), {}),
    isDone: (body, { toSendKnock }) => body.room_id === toSendKnock.roomId,
  },
  'refusing an invite': {
    kinds: ['make_leave'],
    failure: 'none',
    ask: (scene) => refuseInvite(scene, scene.toRefuse),
    isDone: (_, scene) => hasLeft(scene, scene.toRefuse),
  },
  'the second half of refusing an invite': {
    kinds: ['send_leave'],
    failure: 'none',
    ask: (scene) => refuseInvite(scene, scene.toSendRefusal),
    isDone: (_, scene) => hasLeft(scene, scene.toSendRefusal),
  },
  invite: {
    kinds: ['invite'],
    failure: 'in turn',
    ask: ({ user, peer, own }) => user.ask('POST', roomPath(own, 'invite'), { user_id: userOf(peer, 'i') }),
    isDone: () => true,
  },
  'keys of users': {
    kinds: ['query_keys'],
    failure: 'none',
    ask: ({ user, peer }) => user.ask('POST', `${v3}/keys/query`, { device_keys: { [userOf(peer, 'k')]: [] } }),
    isDone: (body, { peer }) => queried(body, userOf(peer, 'k')),
  },
  'keys of users in a room': {
    kinds: ['devices', 'query_keys'],
    failure: 'none',
    ask: ({ user, shared }) => user.ask('POST', `${v3}/keys/query`, { device_keys: { [shared.creator]: [] } }),
    isDone: (body, { shared }) => queried(body, shared.creator),
  },
  'one-time keys': {
    kinds: ['claim_keys'],
    failure: 'none',
    ask({ user, peer }) {
      const one_time_keys = { [userOf(peer, 'k')]: { [DEVICE_ID]: 'signed_curve25519' } }
      return user.ask('POST', `${v3}/keys/claim`, { one_time_keys })
    },
    isDone: (body, { peer }) => Object.keys(body.one_time_keys[userOf(peer, 'k')]?.[DEVICE_ID] ?? {}).length === 1,
  },
  file: {
    kinds: ['media'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('GET', `${v1}/media/download/${peer.serverName}/file`),
    isDone: (body) => String(body).includes('PNG'),
  },
  thumbnail: {
    kinds: ['media'],
    failure: 'direct',
    ask: ({ user, peer }) => user.ask('GET', `${v1}/media/thumbnail/${peer.serverName}/picture?width=9&height=9`),
    isDone: (body) => String(body).includes('PNG'),
  },
  'an event near a time': {
    kinds: ['timestamp_to_event', 'event'],
    failure: 'not found',
    ask({ user, shared, past }) {
      const query = `ts=${past.pdu.origin_server_ts}&dir=b`
      return user.ask('GET', roomPath(shared.roomId, `timestamp_to_event?${query}`, v1))
    },
    isDone: (body, { past }) => body.event_id === past.event_id,
  },
  history: {
    kinds: ['backfill', 'event', 'event_auth', 'state', 'state_ids'],
    failure: 'none',
    ask: ({ user, shared }) => user.ask('GET', roomPath(shared.roomId, 'messages?dir=b&limit=50')),
    isDone: (body, { past }) => body.chunk.some(({ event_id }: { event_id: string }) => event_id === past.event_id),
  },
  'a message under a policy': {
    kinds: ['policy'],
    failure: 'direct',
    ask: ({ user, policed }) =>
      user.ask('PUT', roomPath(policed.roomId, `send/m.room.message/${Math.random()}`), { body: 'hello' }),
    isDone: (body) => body.event_id !== undefined,
  },
} satisfies Record<string, Errand>

export type ErrandName = keyof typeof ERRANDS

/** The peer answers the invite correctly; the leave is the request under test. */
async function refuseInvite({ hearth, peer, user }: Scene, room: PeerRoom): Promise<Answer> {
  const { status, errcode } = await inviteFromPeer(peer, hearth, { room, userId: user.userId })
  if (status !== 200) throw new Error(`invite: ${status} ${errcode}`)
  return user.ask('POST', roomPath(room.roomId, 'leave'), {})
}

function hasLeft({ user }: Scene, room: PeerRoom): boolean {
  return room.stateNow().some(({ pdu }) => pdu.state_key === user.userId && pdu.content.membership === 'leave')
}

const PAST = 5

/** Creates everything that the errands need, with a server that still answers correctly. */
export async function setScene(hearth: TestHearth, peer: LyingServer, user: TestUser): Promise<Scene> {
  const [shared, policed] = [peer.room(), peer.room()]
  const past = shared.say(PAST, 'past').at(-2)!
  const content = { via: peer.serverName, public_keys: { ed25519: peer.signer.publicKey } }
  const own = await createRoom(user)
  const space = await createRoom(user, { creation_content: { type: 'm.space' } })
  const rooms = { toJoin: peer.room(), toSendJoin: peer.room(), toRefuse: peer.room(), toSendRefusal: peer.room() }
  const knocked = { toKnock: peer.room(), toSendKnock: peer.room() }
  for (const room of Object.values(knocked))
    room.add({ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } })
  await sendState(user, space, {
    type: 'm.space.child',
    key: rooms.toJoin.roomId,
    content: { via: [peer.serverName] },
  })
  for (const room of [shared, policed]) await user.post(joinPath(room, peer))
  const policy = policed.add({ type: 'm.room.policy', state_key: '', content })
  await peer.send(hearth, [policy])
  await pollUntil('the policy is there', async () => {
    const path = roomPath(policed.roomId, eventPath('event', policy.event_id))
    return (await user.ask('GET', path)).status === 200
  })
  return { hearth, peer, user, shared, past, policed, own, space, ...rooms, ...knocked }
}
