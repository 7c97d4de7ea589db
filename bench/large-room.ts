import { randomBytes } from 'node:crypto'
import { buildEvent } from '../testing/matrix/events.ts'
import type { Event, EventId, JsonObject, RoomId, ServerName, UserId } from '../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../testing/matrix/room-versions.ts'
import { type SigningKey, signingKeyFromSeed } from '../testing/matrix/signing.ts'

/** A server that exists only as a name and a key. */
export type RoomServer = { serverName: ServerName; key: SigningKey }

/** A room on a resident server. */
export type LargeRoom = {
  roomId: RoomId
  version: string
  state: Event[]
  /** Former state events. */
  replaced: Event[]
  /** The only forward extremity. */
  last: Event
  /** The auth events of a join. */
  joinAuth: EventId[]
}

const VERSION = '11'
/** The number of power level changes while members join, so that members reference different ones. */
const POWER_LEVELS = 20
const A_MINUTE = 60_000

export function makeServer(serverName: string): RoomServer {
  return { serverName: serverName as ServerName, key: signingKeyFromSeed('bench', randomBytes(32)) }
}

/**
 * Creates a public room whose members, on all servers, joined one after the other and then changed their names and
 * avatars until state and auth chain have `events` events. Each event is signed by its sender's server.
 */
export function makeLargeRoom(servers: readonly RoomServer[], size: { members: number; events: number }): LargeRoom {
  const room = createDag(servers)
  const creator = userOf(servers, 0)
  room.add(creator, 'm.room.create', '', { room_version: VERSION }, [])
  room.add(creator, 'm.room.member', creator.userId, { membership: 'join' }, [''])
  room.add(creator, 'm.room.power_levels', '', powerLevels(creator.userId, 0), ['', 'self'])
  room.add(creator, 'm.room.join_rules', '', { join_rule: 'public' }, ['', 'self', 'levels'])
  room.add(creator, 'm.room.history_visibility', '', { history_visibility: 'shared' }, ['', 'self', 'levels'])
  room.add(creator, 'm.room.name', '', { name: 'A large room' }, ['', 'self', 'levels'])
  const changes = size.events - 6 - (size.members - 1) - POWER_LEVELS
  const everyPart = Math.ceil((size.members + changes) / POWER_LEVELS)
  let levels = 0
  for (let place = 1; place < size.members + changes; place++) {
    if (place % everyPart === 0) {
      room.add(creator, 'm.room.power_levels', '', powerLevels(creator.userId, ++levels), ['', 'self', 'levels'])
    }
    const isJoin = place < size.members
    const user = userOf(servers, isJoin ? place : 1 + ((place - size.members) % (size.members - 1)))
    const cited = isJoin ? (['', 'levels', 'rules'] as const) : (['', 'levels', 'rules', 'self'] as const)
    room.add(user, 'm.room.member', user.userId, profile(user.number, place), cited)
  }
  while (room.count() < size.events) {
    room.add(creator, 'm.room.power_levels', '', powerLevels(creator.userId, ++levels), ['', 'self', 'levels'])
  }
  return room.whole()
}

type User = { number: number; userId: UserId; server: RoomServer }

function userOf(servers: readonly RoomServer[], number: number): User {
  const server = servers[number % servers.length]!
  return { number, userId: `@member-${number}:${server.serverName}` as UserId, server }
}

function profile(number: number, place: number): JsonObject {
  return {
    membership: 'join',
    displayname: `Member ${number} of the large room, ${place}`,
    avatar_url: `mxc://example.org/picture${place}`,
  }
}

function powerLevels(creator: UserId, change: number): JsonObject {
  return { users: { [creator]: 100 }, events: { 'm.room.name': 50, 'm.room.topic': 50 + (change % 2) }, invite: 0 }
}

/**
 * The auth events of an event: the creation, the power levels and join rules at the time, and the sender's previous
 * membership.
 */
type Cited = '' | 'levels' | 'rules' | 'self'

function createDag(servers: readonly RoomServer[]) {
  const version = ROOM_VERSIONS.get(VERSION)!
  const roomId = `!${randomBytes(12).toString('hex')}:${servers[0]!.serverName}` as RoomId
  const current = new Map<string, Event>()
  const replaced: Event[] = []
  let last: Event | undefined
  let depth = 0
  const started = Date.now() - 100 * 24 * 60 * A_MINUTE

  const keyOf = (what: Cited, userId: UserId) =>
    ({
      '': 'm.room.create\0',
      levels: 'm.room.power_levels\0',
      rules: 'm.room.join_rules\0',
      self: `m.room.member\0${userId}`,
    })[what]

  function add(user: User, type: string, stateKey: string, content: JsonObject, cited: readonly Cited[]): void {
    const { serverName, key } = user.server
    const event = buildEvent(
      version,
      {
        room_id: roomId,
        type,
        state_key: stateKey,
        sender: user.userId,
        content,
        origin_server_ts: started + depth * A_MINUTE,
        depth: ++depth,
        prev_events: last ? [last.event_id] : [],
        auth_events: cited.map((what) => current.get(keyOf(what, user.userId))!.event_id),
      },
      { serverName, ...key },
    )
    const before = current.get(`${type}\0${stateKey}`)
    if (before) replaced.push(before)
    current.set(`${type}\0${stateKey}`, event)
    last = event
  }

  return {
    add,
    count: () => current.size + replaced.length,
    whole: (): LargeRoom => ({
      roomId,
      version: VERSION,
      state: [...current.values()],
      replaced,
      last: last!,
      joinAuth: (['', 'levels', 'rules'] as const).map((what) => current.get(keyOf(what, '' as UserId))!.event_id),
    }),
  }
}
