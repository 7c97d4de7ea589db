import type { App } from '../../../app.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { TrieChange } from '../../../core/rooms/state-trie.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import type { JoinedRoomMember } from '../../../storage/rooms/membership/joined-room-members.ts'
import {
  endPartialRoom,
  loadPartialEvents,
  type PartialEvent,
} from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadRoomServers } from '../../../storage/rooms/membership/room-servers.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { type LockedRoom, readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { changeState, storeStateNodes } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../../storage/rooms/timeline/state-entries.ts'
import type { PartialRoomRow } from '../../../storage/schema/federation.ts'
import { recomputeStates } from '../../rooms/timeline/recompute-states.ts'
import { type FetchingApp, fetchStateAfter, type Sources } from '../inbound/fetch-references.ts'
import { notifyOfResync } from './notify-of-resync.ts'

export type ResyncApp = FetchingApp & Pick<App, 'config' | 'rooms' | 'serverName' | 'stopping' | 'clock'>

/** Number of servers asked for the state, one after the other. */
const MAX_SERVERS = 10
/** Large rooms take long at the other server, too. */
const REQUEST_TIMEOUT_MS = 600_000

/** State groups after events as fetched from other servers, and the members in these states, by event nid. */
type FetchedStates = { roots: Map<EventId, number>; members: Map<number, JoinedRoomMember> }

/**
 * Resyncs a room with partial state: fetches the members, and recomputes the states of all events since the join. Does
 * nothing for a room with full state. Throws FederationError if none of its servers answers. Can be repeated, also in
 * another process.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
export async function resyncRoom(app: ResyncApp, partial: PartialRoomRow): Promise<void> {
  const { room_id: roomId } = partial
  const fetched: FetchedStates = { roots: new Map(), members: new Map() }
  for (;;) {
    const head = await findRoomHead(app.database, roomId)
    if (!head?.is_partial) return
    for (const [id, followerNid] of unfetched(await loadPartialEvents(app.database, roomId), fetched)) {
      const follower = (await loadEvents(app.database, [followerNid])).get(followerNid)?.event_id
      await fetchState(app, { source: await sourceOf(app, partial, head.version), id, follower, fetched })
    }
    // This server may have joined the room again by another event in the meantime. The command covers only stored
    // events: it must not share a transaction with commands that are about to store more.
    const command = (room: LockedRoom) => complete(app, room, { partial, fetched })
    if (await app.rooms.run(roomId, command, { goesFirst: true })) return
  }
}

/** Returns the events after which the state is still missing, each with the nid of an event that follows it. */
function unfetched(events: readonly PartialEvent[], fetched: FetchedStates): Map<EventId, number> {
  const wanted = events.flatMap(({ event_nid, received_states }) =>
    Object.entries(received_states).flatMap(([id, root]) => (root ? [] : [[id as EventId, event_nid] as const])),
  )
  return new Map(wanted.filter(([id]) => !fetched.roots.has(id)))
}

async function sourceOf(
  app: ResyncApp,
  { room_id: roomId, via }: PartialRoomRow,
  version: RoomVersion,
): Promise<Sources> {
  const known = [via, ...(await loadRoomServers(app.database, roomId, MAX_SERVERS))]
  const servers = [...new Set(known)].filter((server) => server !== app.serverName)
  const [server, ...others] = servers
  if (server === undefined) throw new FederationError(`No server of ${roomId} is known`)
  return { server, others, roomId, version, signal: app.stopping, timeoutMs: REQUEST_TIMEOUT_MS }
}

type StateToFetch = { source: Sources; id: EventId; follower: EventId | undefined; fetched: FetchedStates }

/** Fetches the state after an event from the first server that answers, and stores it; nothing refers to it yet. */
async function fetchState(app: ResyncApp, { source, id, follower, fetched }: StateToFetch): Promise<void> {
  // The other server determines which keys are needed, so they are fetched in its lane.
  const keyRing = app.keyRing.onBehalfOf({ kind: 'server', id: source.server })
  const { nids, pieces } = await fetchStateAfter({ ...app, keyRing }, source, id, follower)
  for (const { event_nid, member } of pieces ?? []) if (member) fetched.members.set(event_nid, member)
  const changes = pieces ?? (await piecesOf(app, nids))
  const { root, created } = await changeState({ db: app.database, takeNids: app.takeNids, root: 0, changes })
  await app.database.write((tx) => storeStateNodes(tx, [{ roomId: source.roomId, nodes: created }]))
  fetched.roots.set(id, root)
}

async function piecesOf(app: ResyncApp, nids: readonly number[]): Promise<TrieChange[]> {
  const entries = await loadStateEntries(app.database, nids, new Map())
  // Of two events for one state key the later counts.
  const pieces = nids.flatMap((nid) => entries.get(nid) ?? [])
  return [...new Map(pieces.map((piece) => [`${piece.type}\0${piece.state_key}`, piece])).values()]
}

/** Returns false, without changes, if more states have to be fetched. */
async function complete(
  app: ResyncApp,
  room: LockedRoom,
  { partial, fetched }: { partial: PartialRoomRow; fetched: FetchedStates },
): Promise<boolean> {
  if (!room.head?.is_partial) return true
  const events = await loadPartialEvents(room.db, partial.room_id)
  if (unfetched(events, fetched).size > 0) return false
  const recomputed = await recomputeStates(
    app,
    room,
    events.map((event) => withFetched(event, fetched)),
  )
  await notifyOfResync(app, room, { partial, recomputed, members: fetched.members })
  const [encryption] = await readLockedState(room, [{ type: 'm.room.encryption', state_key: '' }])
  room.writes.push((tx) => endPartialRoom(tx, partial.room_id, encryption ? 'encrypted' : null))
  return true
}

function withFetched(event: PartialEvent, fetched: FetchedStates): PartialEvent {
  const states = Object.entries(event.received_states).map(([id, root]) => [
    id,
    root || fetched.roots.get(id as EventId)!,
  ])
  return { ...event, received_states: Object.fromEntries(states) }
}

/**
 * Marks a room as having full state although it was not resynced: no local user is in it any more, and no server
 * answers.
 */
export async function giveUpRoom(app: Pick<App, 'rooms'>, roomId: RoomId): Promise<void> {
  await app.rooms.run(roomId, async (room) => {
    if (!room.head?.is_partial) return
    room.head = { ...room.head, is_partial: false }
    room.writes.push((tx) => endPartialRoom(tx, roomId, null))
  })
}
