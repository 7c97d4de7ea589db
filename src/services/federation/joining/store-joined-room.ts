import type { App } from '../../../app.ts'
import { authEventKeys } from '../../../core/auth-rules/auth-event-keys.ts'
import { checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { domainOf, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { orderAfterGap } from '../../../core/rooms/timeline-gaps.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import { loadOwnMembers, replaceMembers } from '../../../storage/rooms/membership/joined-room-members.ts'
import { beginPartialRoom, endPartialRoom } from '../../../storage/rooms/membership/partial-rooms.ts'
import {
  type AppendedEvent,
  findLockedEvents,
  type LockedRoom,
  overlayOf,
  readLockedStateAt,
} from '../../../storage/rooms/timeline/locked-room.ts'
import { noteMissingPrevs } from '../../../storage/rooms/timeline/missing-prev-events.ts'
import { noteBeginning } from '../../../storage/rooms/timeline/room-heads.ts'
import { changeState, readStateDiff } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { requireNotRemoved, requireUnblocked } from '../../rooms/timeline/blocked-room.ts'
import { changeLockedState } from '../../rooms/timeline/change-locked-state.ts'
import { followJoin } from '../../rooms/timeline/follow-upgrade.ts'
import { stateChanges } from '../../rooms/timeline/state-changes.ts'
import { type ReceivedState, receivedStateOf } from '../inbound/accept-received.ts'

/** A room as received from a resident server, with the join event of a local user. */
export type JoinedRoom = {
  version: RoomVersion
  event: Event
  /** The accepted state before the event, one event per state key. */
  state: readonly ReceivedState[]
  /** Set if the room has partial state: the resident server, and the servers that it lists. */
  partial: { via: ServerName; servers: readonly ServerName[] } | undefined
}

/**
 * Creates a room that this server was not in, or resumes it after a time outside: its state becomes the resident
 * server's, with the join as the only forward extremity. Returns 'present', without changes, if this server is in the
 * room already, or has just left it and missed nothing. Throws M_FORBIDDEN if the state does not allow the join.
 */
export async function storeJoinedRoom(app: App, joined: JoinedRoom): Promise<'stored' | 'present'> {
  return app.rooms.run(joined.event.room_id, async (room) => {
    // The room may have been blocked during the requests.
    await requireNotRemoved(room.db, joined.event.room_id)
    await requireUnblocked(room.db, joined.event.room_id)
    const own = await loadOwnMembers(room.db, app.serverName, joined.event.room_id)
    if (room.head && [...own.values()].some(({ membership }) => membership === 'join')) return 'present'
    if (joined.partial && (await goesOn(room, joined.event))) return 'present'
    await begin(app, room, joined)
    return 'stored'
  })
}

/**
 * Returns whether a room still has partial state from an earlier join and nothing has happened since: then its resync
 * can continue.
 */
async function goesOn(room: LockedRoom, { prev_event_ids }: Event): Promise<boolean> {
  if (!room.head?.is_partial) return false
  const known = await findLockedEvents(room, prev_event_ids)
  return prev_event_ids.every((id) => known.some((prev) => prev.event_id === id && prev.state_after !== null))
}

/** Returns the data needed to recompute the event's states: those after missing prev events have to be fetched. */
async function entryOf(room: LockedRoom, { prev_event_ids }: Event): Promise<Partial<AppendedEvent>> {
  const known = await findLockedEvents(room, prev_event_ids)
  const absent = prev_event_ids.filter((id) => !known.some((prev) => prev.event_id === id && prev.state_after !== null))
  return { is_entry: true, received_states: new Map(absent.map((id) => [id, 0])) }
}

async function begin(app: App, room: LockedRoom, { version, event, state, partial }: JoinedRoom): Promise<void> {
  const stateBefore = await buildState(app, room, state)
  const create = await requireAllowed(room, { version, event, stateBefore })
  const roomBefore = room.head?.state_root ?? 0
  const wasPartial = room.head?.is_partial ?? false
  const [nid] = (await app.takeNids(room.db, 1)) as [number]
  const stateAfter = await changeLockedState(app, room, {
    root: stateBefore,
    changes: [{ type: 'm.room.member', state_key: event.pdu.state_key!, event_nid: nid }],
  })
  const bare = appendedEvent(event, {
    event_nid: nid,
    // Events since this server was last in the room are missing before it.
    event_order: room.head ? orderAfterGap(room.head.next_order) : 1,
    state_before: stateBefore,
    state_after: stateAfter,
    room_before: roomBefore,
    room_after: stateAfter,
  })
  // Members are replaced as a whole below.
  const { added, removed } = await readStateDiff(room.db, roomBefore, stateBefore, 'rest', overlayOf(room))
  const current_changes = [...stateChanges(removed, added), ...stateChanges([], [bare])]
  const join = { ...bare, current_changes, ...(partial && (await entryOf(room, event))) }
  room.events.push(join)
  room.head = {
    room_id: event.room_id,
    version,
    create_nid: create.event_nid,
    state_root: stateAfter,
    depth: event.pdu.depth,
    next_order: join.event_order! + 1,
    forward_extremities: [event.event_id],
    is_partial: partial !== undefined,
  }
  noteMissingPrevs(room, join, event.prev_event_ids)
  noteBeginning(room, event.room_id, event.pdu.depth)
  room.writes.push((tx) => storeMembers(tx, app, { join, state, partial, wasPartial }))
  followJoin(app, room, { event: join, before: undefined, create, isFirst: true })
}

async function buildState(app: App, room: LockedRoom, state: readonly ReceivedState[]): Promise<number> {
  const { root, created } = await changeState({ db: room.db, takeNids: app.takeNids, root: 0, changes: state })
  for (const [address, node] of created) room.nodes.set(address, node)
  return root
}

async function requireAllowed(
  room: LockedRoom,
  { version, event, stateBefore }: { version: RoomVersion; event: Event; stateBefore: number },
): Promise<StoredEvent> {
  const keys = [{ type: 'm.room.create', state_key: '' }, ...authEventKeys(version, event.pdu)]
  const found = await readLockedStateAt(room, stateBefore, keys)
  const create = found[0]
  if (!create || (create.pdu.content.room_version ?? '1') !== version.id) {
    throw new ForbiddenError('The other server does not know the room')
  }
  const byKey = new Map(keys.map((key, place) => [`${key.type}\0${key.state_key}`, found[place]]))
  const verdict = checkEventAuth(version, event, { get: (type, stateKey) => byKey.get(`${type}\0${stateKey}`) })
  if (!verdict.allowed) throw new ForbiddenError(`The room does not allow the join: ${verdict.reason}`)
  return create
}

type Placement = Pick<
  AppendedEvent,
  'event_nid' | 'event_order' | 'state_before' | 'state_after' | 'room_before' | 'room_after'
>

function appendedEvent(event: Event, placement: Placement): AppendedEvent {
  const json = JSON.stringify(event.pdu)
  return {
    ...event,
    ...placement,
    soft_failed: false,
    redacted_by: null,
    rejected_reason: null,
    txn_device_id: null,
    txn_id: null,
    json,
    size: json.length,
  }
}

type JoinedMembers = { join: AppendedEvent; wasPartial: boolean } & Pick<JoinedRoom, 'state' | 'partial'>

async function storeMembers(
  tx: Tx,
  app: Pick<App, 'serverName'>,
  { join, state, partial, wasPartial }: JoinedMembers,
): Promise<void> {
  const { room_id: roomId } = join
  const members = [...state, receivedStateOf(join.pdu, join.event_nid)].flatMap(({ member }) => member ?? [])
  const unique = [...new Map(members.map((member) => [member.user_id, member])).values()]
  const before = await loadOwnMembers(tx, app.serverName, roomId)
  await replaceMembers(tx, app.serverName, { roomId, members: unique, keepsOwn: partial !== undefined })
  appendToStream(tx, { kind: 'room_entered', detail: roomId })
  // Other local users may have been invited or removed while no local user was joined.
  for (const { user_id, event_nid, membership } of unique) {
    const isOurs = domainOf(user_id) === app.serverName && user_id !== join.pdu.state_key
    if (!isOurs || before.get(user_id as UserId)?.membership === membership) continue
    appendToStream(tx, {
      kind: 'state',
      room_id: roomId,
      user_id: user_id as UserId,
      ref: event_nid,
      detail: membership,
    })
  }
  if (partial) return beginPartialRoom(tx, { roomId, ...partial })
  if (wasPartial) await endPartialRoom(tx, roomId, null)
}
