import type { App } from '../../app.ts'
import type { EventId, RoomId } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation-error.ts'
import type { PartialRoomRow } from '../../storage/federation-schema.ts'
import { type LockedRoom, readLockedState } from '../../storage/locked-room.ts'
import { endPartialRoom, loadPartialEvents, type PartialEvent } from '../../storage/partial-rooms.ts'
import { findRoomHead } from '../../storage/room-heads.ts'
import { loadRoomServers } from '../../storage/room-servers.ts'
import { changeState, storeStateNodes } from '../../storage/room-state.ts'
import { loadStateEntries } from '../../storage/state-entries.ts'
import { restateRoom } from '../rooms/restate-room.ts'
import { type FetchingApp, fetchStateAfter, type Sources } from './fetch-references.ts'
import { tellOfCompletion } from './tell-of-completion.ts'

export type CompletingApp = FetchingApp & Pick<App, 'rooms' | 'serverName' | 'stopping' | 'clock'>

/** Servers that are asked for the state, one after the other. */
const MAX_SERVERS = 10
/** Large rooms take their time on the other side too. */
const REQUEST_TIMEOUT_MS = 600_000

/** Roots of the states after events, as other servers told them. */
type FetchedStates = Map<EventId, number>

/**
 * Gets the members of a room that was joined without knowing them, and finds anew the states of all events since then. Does nothing for a room that
 * is complete. Throws FederationError when none of its servers tells. Bears being run again, in another process too.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
export async function completeRoom(app: CompletingApp, partial: PartialRoomRow): Promise<void> {
  const { room_id: roomId } = partial
  const fetched: FetchedStates = new Map()
  for (;;) {
    const head = await findRoomHead(app.database, roomId)
    if (!head?.is_partial) return
    const wanted = unfetched(await loadPartialEvents(app.database, roomId), fetched)
    for (const id of wanted) fetched.set(id, await stateAfter(app, { partial, version: head.version }, id))
    // Meanwhile this server may have come into the room once more, by another event.
    // It goes through the events that are stored: one that is only about to be would be lost.
    const command = (room: LockedRoom) => complete(app, room, { partial, fetched })
    if (await app.rooms.run(roomId, command, { goesFirst: true })) return
  }
}

function unfetched(events: readonly PartialEvent[], fetched: FetchedStates): EventId[] {
  const wanted = events.flatMap(({ told_states }) =>
    Object.entries(told_states).flatMap(([id, root]) => (root ? [] : id)),
  )
  return [...new Set(wanted as EventId[])].filter((id) => !fetched.has(id))
}

/** The root of the state after an event, by the first server that tells; it is stored already, and nothing names it yet. */
async function stateAfter(
  app: CompletingApp,
  { partial, version }: { partial: PartialRoomRow; version: Sources['version'] },
  eventId: EventId,
): Promise<number> {
  const { room_id: roomId, via } = partial
  const known = [via, ...(await loadRoomServers(app.database, roomId, MAX_SERVERS))]
  const servers = [...new Set(known)].filter((server) => server !== app.serverName)
  const [server, ...others] = servers
  if (server === undefined) throw new FederationError(`No server of ${roomId} is known`)
  const source: Sources = { server, others, roomId, version, signal: app.stopping, timeoutMs: REQUEST_TIMEOUT_MS }
  return storeState(app, roomId, await fetchStateAfter(app, source, eventId))
}

async function storeState(app: CompletingApp, roomId: RoomId, nids: readonly number[]): Promise<number> {
  const entries = await loadStateEntries(app.database, nids, new Map())
  // Of two for the same piece the later one counts.
  const pieces = nids.flatMap((nid) => entries.get(nid) ?? [])
  const changes = [...new Map(pieces.map((piece) => [`${piece.type}\0${piece.state_key}`, piece])).values()]
  const { root, created } = await changeState({ db: app.database, takeNids: app.takeNids, root: 0, changes })
  await app.database.write((tx) => storeStateNodes(tx, [{ roomId, nodes: created }]))
  return root
}

/** Returns false, having changed nothing, if there are more states to be fetched. */
async function complete(
  app: CompletingApp,
  room: LockedRoom,
  { partial, fetched }: { partial: PartialRoomRow; fetched: FetchedStates },
): Promise<boolean> {
  if (!room.head?.is_partial) return true
  const events = await loadPartialEvents(room.db, partial.room_id)
  if (unfetched(events, fetched).length > 0) return false
  const restated = await restateRoom(
    app,
    room,
    events.map((event) => withFetched(event, fetched)),
  )
  await tellOfCompletion(app, room, { partial, restated })
  const [encryption] = await readLockedState(room, [{ type: 'm.room.encryption', state_key: '' }])
  room.writes.push((tx) => endPartialRoom(tx, partial.room_id, encryption ? 'encrypted' : null))
  return true
}

function withFetched(event: PartialEvent, fetched: FetchedStates): PartialEvent {
  const states = Object.entries(event.told_states).map(([id, root]) => [id, root || fetched.get(id as EventId)!])
  return { ...event, told_states: Object.fromEntries(states) }
}

/** Takes a room for complete as it is: nobody of this server is in it any more, and nobody else tells. */
export async function giveUpRoom(app: Pick<App, 'rooms'>, roomId: RoomId): Promise<void> {
  await app.rooms.run(roomId, async (room) => {
    if (!room.head?.is_partial) return
    room.head = { ...room.head, is_partial: false }
    room.writes.push((tx) => endPartialRoom(tx, roomId, null))
  })
}
