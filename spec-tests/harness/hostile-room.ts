import { expect } from 'vitest'
import { toEvent } from '../../testing/matrix/events.ts'
import { isAcceptableEvent } from '../../testing/matrix/is-acceptable.ts'
import type { EventId, Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from './client.ts'
import { encodeHostile } from './hostile-strings.ts'
import type { HostileWorld } from './hostile-world.ts'
import { type PushGateway, startPushGateway } from './push-gateway.ts'
import { type ClientEvent, createRoom, eventPath, joinRoom, roomPath, syncedRoom, v1, v3 } from './rooms.ts'
import { slidingClient } from './sliding-client.ts'

/** An attacker's request; texts in `path` are encoded. */
export type HostileRequest = { method?: 'GET' | 'PUT' | 'POST' | 'DELETE'; path: string; body?: unknown }

/** A room of a hostile world in which an attacker and the peer's user may do everything. */
export type HostileRoom = {
  roomId: string
  /** A local attacker. */
  mallory: TestUser
  /** A message of Alice in the room, and one in another room. */
  eventId: string
  elsewhere: string
  /** Sends a request as Mallory, and returns the status. */
  attack(request: HostileRequest): Promise<number>
  /** Sends a request as the peer, and returns the status. */
  ask(request: HostileRequest): Promise<number>
  /**
   * Sends events of the peer's user, each following the previous one. Returns the IDs of those that servers must
   * accept.
   */
  sendEvents(...events: PeerEvent[]): Promise<string[]>
  /** Sends EDUs of the peer. */
  sendEdus(...edus: { edu_type: string; content: unknown }[]): Promise<void>
}

/** The fields of a peer's event that a test sets; the rest has defaults. */
export type PeerEvent = Partial<Pick<Pdu, 'type' | 'state_key' | 'content' | 'redacts' | 'sender' | 'unsigned'>>

const VERSION = '11'
/** https://spec.matrix.org/v1.19/server-server-api/#transactions */
const MAX_PDUS = 50

/** The log message when the database rejects a value. */
const REFUSED_VALUE =
  /22021|22P0\d|21000|54000|invalid byte sequence|unsupported Unicode|index row|invalid input syntax|out of range|a second time/i

type Watched = HostileRoom & { gateway: PushGateway }
const rooms = new WeakMap<HostileWorld, Promise<Watched>>()

/** Returns the room of a world, which is created on first use. */
export function hostileRoom(world: HostileWorld): Promise<Watched> {
  const known = rooms.get(world) ?? makeRoom(world)
  rooms.set(world, known)
  return known
}

async function makeRoom(world: HostileWorld): Promise<Watched> {
  const { url, alice, bob, peer, home, federation } = world
  const [mallory, gateway] = await Promise.all([registerUser(url), startPushGateway()])
  federation.onDispose(() => gateway.close())
  const users = Object.fromEntries([alice.userId, mallory.userId, peer.userId].map((userId) => [userId, 100]))
  const roomId = await createRoom(alice, { room_version: VERSION, power_level_content_override: { users } })
  await joinRoom(roomId, bob, mallory)
  const eventId = await sendText(alice, roomId, 'hello')
  const proper = await peer.join(home, roomId)
  await setPusher(bob, gateway)
  let last: { id: EventId; depth: number } | undefined

  /** The newest event that the peer received: an event that follows it is not a fork. */
  function newest(): EventId[] {
    const pdu = peer.received.flatMap(({ pdus }) => pdus).findLast(({ room_id }) => room_id === roomId)
    return pdu ? [idOf(pdu)] : []
  }

  function next(event: PeerEvent): Pdu {
    const place = last && { prev_events: [last.id, ...newest()], depth: last.depth + 1 }
    const pdu = peer.sign({ ...proper, ...place, ...event, origin_server_ts: Date.now() }, VERSION) as Pdu
    // No event can follow one that servers reject.
    if (isAcceptableEvent(pdu)) last = { id: idOf(pdu), depth: pdu.depth }
    return pdu
  }

  async function transact(content: { pdus: object[]; edus: object[] }): Promise<void> {
    const body = JSON.stringify({ origin: peer.serverName, origin_server_ts: Date.now(), ...content })
    const path = `/_matrix/federation/v1/send/${uniqueName()}`
    const { status, text } = await peer.send(home, { method: 'PUT', path, body })
    expectSurvived(status, text)
  }

  return {
    roomId,
    mallory,
    eventId,
    elsewhere: world.eventId,
    gateway,
    attack: async ({ method = 'PUT', path, body }) => {
      const answer = await fetch(url + path, {
        method,
        headers: { Authorization: `Bearer ${mallory.accessToken}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      expectSurvived(answer.status, `${method} ${path.slice(0, 200)}: ${text.slice(0, 300)}`)
      return answer.status
    },
    ask: async ({ method = 'PUT', path, body }) => {
      const { status, text } = await peer.send(home, {
        method,
        path,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      expectSurvived(status, `${method} ${path.slice(0, 200)}: ${text.slice(0, 300)}`)
      return status
    },
    async sendEvents(...events) {
      const pdus = events.map(next)
      // A malformed event may cause its whole transaction to be refused.
      const alone = pdus.filter((pdu) => !isAcceptableEvent(pdu)).map((pdu) => [pdu])
      const proper = pdus.filter(isAcceptableEvent)
      const pages = proper.flatMap((_, place) =>
        place % MAX_PDUS === 0 ? [proper.slice(place, place + MAX_PDUS)] : [],
      )
      for (const page of [...alone, ...pages]) await transact({ pdus: page, edus: [] })
      return proper.map(idOf)
    },
    sendEdus: (...edus) => transact({ pdus: [], edus }),
  }
}

function idOf(pdu: Pdu): EventId {
  return toEvent(ROOM_VERSIONS.get(VERSION)!, pdu).event_id
}

/** A server named by a text may not exist, which is not a fault of this one. */
function expectSurvived(status: number, text: string): void {
  if (status !== 502) expect(status, text).toBeLessThan(500)
}

async function setPusher(user: TestUser, { url }: PushGateway): Promise<void> {
  const names = { app_display_name: 'App', device_display_name: 'Phone', lang: 'en' }
  await user.post(`${v3}/pushers/set`, { app_id: 'app', pushkey: 'key', kind: 'http', ...names, data: { url } })
}

/** Returns a path below the hostile room with encoded texts. */
export function hostilePath(roomId: string, verb: string, ...texts: string[]): string {
  return roomPath(roomId, [verb, ...texts.map(encodeHostile)].join('/'))
}

/**
 * Asserts that everything works in the attacked room, for bystanders and the attacker: all read endpoints, both initial
 * syncs, search, push, and sending to and from another server, which can read the room too.
 */
export async function expectAllWorks(world: HostileWorld): Promise<void> {
  const { alice, bob, processes } = world
  const room = await hostileRoom(world)
  const word = uniqueName('word').replaceAll('-', '')
  const [eventId] = await Promise.all([
    sendText(alice, room.roomId, `${word} for ${bob.userId}`),
    room.sendEvents({ content: { msgtype: 'm.text', body: `peer ${word}` } }),
  ])
  await Promise.all([
    ...[bob, room.mallory].flatMap((reader) => [
      readsEverything(room, reader),
      syncs(room, reader),
      sliding(room, reader),
    ]),
    readsByFederation(world, room.roomId, eventId),
    pollUntil('the message is pushed', () => room.gateway.received.some(({ event_id }) => event_id === eventId)),
    pollUntil('the peer gets the message', () =>
      world.peer.received.some(({ pdus }) => pdus.some(({ content }) => String(content.body).startsWith(word))),
    ),
    ...[bob, room.mallory].map((reader) =>
      pollUntil('both messages are found', () => finds(room, reader, { word, count: 2 })),
    ),
  ])
  // After the push, since read events are not pushed.
  await receiptArrives(alice, bob, { roomId: room.roomId, eventId })
  for (const { output } of processes) expect(output()).not.toMatch(REFUSED_VALUE)
}

async function readsEverything({ roomId, eventId }: HostileRoom, reader: TestUser): Promise<void> {
  const event = encodeURIComponent(eventId)
  const paths = [
    roomPath(roomId, 'messages?dir=b&limit=100'),
    roomPath(roomId, 'messages?dir=f&limit=100'),
    roomPath(roomId, 'threads?limit=100', v1),
    roomPath(roomId, `relations/${event}?recurse=true&limit=100`, v1),
    roomPath(roomId, `context/${event}?limit=100`),
    roomPath(roomId, 'state'),
    roomPath(roomId, 'members'),
    roomPath(roomId, 'initialSync'),
    roomPath(roomId, 'hierarchy', v1),
    `${v3}/notifications?limit=100`,
    `${v3}/publicRooms`,
    `${v3}/joined_rooms`,
    `${v3}/profile/${encodeURIComponent(reader.userId)}`,
  ]
  await Promise.all(paths.map((path) => reader.get(path)))
}

/** Sends the requests of servers that join or have missed events. */
async function readsByFederation({ peer, home }: HostileWorld, roomId: string, eventId: string): Promise<void> {
  const [room, event] = [encodeURIComponent(roomId), encodeURIComponent(eventId)]
  const paths = [
    `state/${room}?event_id=${event}`,
    `state_ids/${room}?event_id=${event}`,
    `event_auth/${room}/${event}`,
    `backfill/${room}?v=${event}&limit=50`,
  ]
  await Promise.all(paths.map((path) => peer.ask(home, 'GET', `/_matrix/federation/v1/${path}`)))
}

async function syncs({ roomId }: HostileRoom, reader: TestUser): Promise<void> {
  const filter = encodeURIComponent(
    JSON.stringify({ room: { timeline: { limit: 50, unread_thread_notifications: true } } }),
  )
  const { rooms } = await reader.get(`${v3}/sync?timeout=0&filter=${filter}`)
  expect(Object.keys(rooms.join)).toContain(roomId)
}

async function sliding({ roomId }: HostileRoom, reader: TestUser): Promise<void> {
  const enabled = { enabled: true }
  const extensions = { to_device: enabled, e2ee: enabled, account_data: enabled, receipts: enabled, typing: enabled }
  const list = { ranges: [[0, 10]], required_state: [['*', '*']], timeline_limit: 50 }
  const { rooms } = await slidingClient(reader, { connId: 'all' }).sync(
    { lists: { all: list }, extensions },
    { pos: null },
  )
  expect(Object.keys(rooms)).toContain(roomId)
}

/** Asserts that one user's receipt reaches another. */
async function receiptArrives(
  alice: TestUser,
  bob: TestUser,
  { roomId, eventId }: { roomId: string; eventId: string },
) {
  await bob.post(roomPath(roomId, eventPath('receipt/m.read', eventId)))
  const { ephemeral } = await syncedRoom(alice, roomId)
  const contents = ephemeral.events.flatMap((event: ClientEvent) => (event.type === 'm.receipt' ? event.content : []))
  expect(contents.some((content: ClientEvent) => content[eventId]?.['m.read'][bob.userId])).toBe(true)
}

async function finds({ roomId }: HostileRoom, reader: TestUser, { word, count }: { word: string; count: number }) {
  const room_events = { search_term: word, filter: { rooms: [roomId] }, event_context: {}, order_by: 'recent' }
  const { search_categories } = await reader.post(`${v3}/search`, { search_categories: { room_events } })
  return search_categories.room_events.results.length === count
}
