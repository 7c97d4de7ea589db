import { authEventKeys } from '../core/auth-rules/auth-event-keys.ts'
import { buildEvent } from '../core/events/build-event.ts'
import { type EventId, type RoomId, type ServerName, serverNameOf, type UserId } from '../core/ids.ts'
import type { Event, JsonObject } from '../core/pdu.ts'
import { ROOM_VERSIONS } from '../core/room-versions.ts'
import { signingKeyFromSeed } from '../core/signing/signing-key.ts'
import { receivedStateOf } from '../services/federation/inbound/accept-received.ts'
import { receiveEvent } from '../services/federation/inbound/receive-event.ts'
import { storeJoinedRoom } from '../services/federation/joining/store-joined-room.ts'
import { storeOutliers } from '../storage/rooms/timeline/outliers.ts'
import { ALICE } from './reading-room.ts'
import { type AppWithRemote, BORIS, REMOTE } from './remote-server.ts'

export type MadeEvent = {
  type?: string
  sender?: UserId
  state_key?: string
  content?: JsonObject
  /** Default: the room's newest event. */
  prev?: readonly Event[]
  /** Default: from the current state. */
  auth?: readonly Event[]
  /** Whether it becomes part of the room's state, and its newest event. */
  counts?: boolean
}

/** A server that is unreachable and whose keys are unknown. */
export const GONE = 'gone' as ServerName
/** Its keys, for tests that make them available. */
export const GONE_SIGNER = signingKeyFromSeed('g', Buffer.alloc(32, 8))

let rooms = 0

/** Creates a room of the remote server, by Boris and public, which this server does not have yet. */
export function createRemoteRoom(app: AppWithRemote) {
  const version = ROOM_VERSIONS.get('11')!
  const roomId = `!remote${rooms++}:${REMOTE}` as RoomId
  const events: Event[] = []
  const state = new Map<string, Event>()
  const signers = {
    [REMOTE]: signingKeyFromSeed('r', Buffer.alloc(32, 7)),
    [GONE]: GONE_SIGNER,
    [app.serverName]: app.signingKeys.current,
  }
  const keyOf = (type: string, stateKey: string) => `${type}\0${stateKey}`

  function make({ type = 'm.room.message', sender = BORIS, content = {}, ...event }: MadeEvent): Event {
    const { state_key, prev = events.slice(-1), counts = true } = event
    const keyed = { type, sender, content, ...(state_key !== undefined && { state_key }) }
    const cited = authEventKeys(version, keyed).flatMap((key) => state.get(keyOf(key.type, key.state_key)) ?? [])
    const serverName = serverNameOf(sender)
    const made = buildEvent(
      version,
      {
        ...keyed,
        room_id: roomId,
        origin_server_ts: 1_700_000_000_000 + events.length,
        depth: events.length + 1,
        prev_events: prev.map(({ event_id }) => event_id),
        auth_events: (event.auth ?? cited).map(({ event_id }) => event_id),
      },
      { ...signers[serverName]!, serverName },
    )
    if (!counts) return made
    events.push(made)
    if (state_key !== undefined) state.set(keyOf(type, state_key), made)
    return made
  }

  const member = (userId: UserId, membership: string, more: MadeEvent = {}) =>
    make({ type: 'm.room.member', sender: userId, state_key: userId, content: { membership }, ...more })

  make({ type: 'm.room.create', state_key: '', content: { room_version: '11' } })
  member(BORIS, 'join')
  make({ type: 'm.room.power_levels', state_key: '', content: { users: { [BORIS]: 100 }, state_default: 50 } })
  make({ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } })

  /** Alice joins, and this server gets the state without members. `answerState` serves the state at that time. */
  async function joinPartially(): Promise<Event> {
    const before = events.at(-1)!
    const stateThen = [...state.values()]
    const join = member(ALICE, 'join')
    const rest = stateThen.filter(({ pdu }) => pdu.type !== 'm.room.member')
    const founder = events[1]!
    const stored = await app.database.write((tx) => storeOutliers(tx, app.takeNids, [...rest, founder]))
    const pieces = rest.map(({ event_id, pdu }) => receivedStateOf(pdu, stored.get(event_id)!.event_nid))
    const partial = { via: REMOTE, servers: [REMOTE] }
    await storeJoinedRoom(app, { version, event: join, state: pieces, partial })
    states.set(before.event_id, stateThen)
    return join
  }

  /**
   * The states after events, which the server returns as those before them: they include the event itself either way.
   */
  const states = new Map<EventId, readonly Event[]>()

  /** Answers requests about the room's events. */
  function answer({ path, query }: { path: string; query?: Record<string, unknown> }): unknown {
    if (path.includes('/get_missing_events/')) return { events: [] }
    const [, what, id] =
      /\/v1\/(state_ids|state|event|event_auth)\/(?:.*\/)?([^/]+)$/.exec(decodeURIComponent(path)) ?? []
    if (what === 'state_ids' || what === 'state') {
      const found = states.get(query?.event_id as EventId)
      if (what === 'state') return found && { pdus: found.map(({ pdu }) => pdu), auth_chain: [] }
      return found && { pdu_ids: found.map(({ event_id }) => event_id), auth_chain_ids: [] }
    }
    const found = events.filter(({ event_id }) => what === 'event_auth' || event_id === id).map(({ pdu }) => pdu)
    return what === 'event_auth' ? { auth_chain: found } : found.length > 0 ? { pdus: found } : undefined
  }

  const receive = (event: Event) => receiveEvent(app, { origin: REMOTE, roomId, pdu: event.pdu })

  return { roomId, version, events, state, make, member, joinPartially, answer, receive }
}
