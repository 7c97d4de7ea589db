import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { isUserId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { powerLevels } from '../../../core/rooms/power-levels.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import { recountMembers } from '../../../storage/rooms/membership/joined-room-members.ts'
import { recountRoomServers } from '../../../storage/rooms/membership/other-servers.ts'
import { updateOtherStateCount } from '../../../storage/rooms/room-counts.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import {
  headOf,
  type LockedRoom,
  overlayOf,
  readLockedState,
  roomIdOf,
  type StateChange,
  snapshotOf,
} from '../../../storage/rooms/timeline/locked-room.ts'
import { storeRecomputedStates } from '../../../storage/rooms/timeline/recomputed-states.ts'
import { readStateNids } from '../../../storage/rooms/timeline/room-state.ts'
import { loadStateEntries } from '../../../storage/rooms/timeline/state-entries.ts'
import { filterActiveUsers } from '../../../storage/users/active-users.ts'
import { appendEvent } from '../timeline/append-event.ts'
import type { ComparedState } from './compare-state.ts'
import { DUMMY } from './forward-extremities.ts'
import type { Replay } from './replay-states.ts'

/** Local members who are tried as the sender of the event that tells clients. */
const MAX_SENDERS = 20

/**
 * Replaces the stored state of a locked room by the recomputed one: the current state, the states of its events, the
 * members, the summary and the counts. An event of a local member carries the changes to clients. If none may send one,
 * only changed memberships reach clients at once.
 */
export async function repairState(
  app: App,
  room: LockedRoom,
  { compared, replay }: { compared: ComparedState; replay: Replay },
): Promise<void> {
  const head = headOf(room)
  const before = head.state_root
  room.head = { ...head, state_root: compared.root }
  const isSent = await sendCarrier(app, room, { before, changes: compared.changes })
  if (!isSent) await carrySilently(room, compared.changes)
  room.writes.push((tx) => storeRest(app, tx, room, replay))
}

/** Later commands of the transaction may have changed the room further: the counts are those of its head now. */
async function storeRest({ serverName }: App, tx: Tx, room: LockedRoom, replay: Replay): Promise<void> {
  const roomId = roomIdOf(room)
  await storeRecomputedStates(tx, roomId, [...replay.changed.values()])
  const others = await readStateNids(tx, headOf(room).state_root, 'rest', overlayOf(room))
  await recountMembers(tx, serverName, roomId)
  await recountRoomServers(tx, serverName, [roomId])
  await updateOtherStateCount(tx, roomId, others.length)
}

/** Appends an event that follows the room's ends, and carries the changes. Returns whether a local member may send it. */
async function sendCarrier(
  app: App,
  room: LockedRoom,
  { before, changes }: { before: number; changes: readonly StateChange[] },
): Promise<boolean> {
  for (const sender of await sendersIn(app, room)) {
    const restore = snapshotOf(room)
    try {
      const { event_id: id } = await appendEvent(app, room, { type: DUMMY, sender, content: {} })
      room.events = room.events.map((event) =>
        event.event_id === id ? { ...event, room_before: before, current_changes: changes } : event,
      )
      return true
    } catch (error) {
      if (!(error instanceof MatrixError) || error.status !== 403) throw error
      restore()
    }
  }
  return false
}

/** Returns local members of the recomputed state, those with most power first; the stored members may be wrong. */
async function sendersIn({ serverName }: App, room: LockedRoom): Promise<UserId[]> {
  const overlay = overlayOf(room)
  const nids = await readStateNids(room.db, headOf(room).state_root, 'members', overlay)
  const entries = await loadStateEntries(room.db, nids, overlay.events)
  const ours = [...entries.values()].flatMap(({ state_key: id }) =>
    isUserId(id) && serverNameOf(id) === serverName ? [id] : [],
  )
  const [create, stated] = await readLockedState(room, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  if (!create) return []
  const levels = powerLevels(headOf(room).version, create, stated)
  const active = await filterActiveUsers(room.db, ours)
  return active.sort((one, other) => levels.of(other) - levels.of(one) || (one < other ? -1 : 1)).slice(0, MAX_SENDERS)
}

/** Stores the changes along with an event that clients have already. */
async function carrySilently(room: LockedRoom, changes: readonly StateChange[]): Promise<void> {
  const [last] = await loadEventsById(room.db, headOf(room).forward_extremities.slice(-1))
  if (!last) return
  const stored = { json: JSON.stringify(last.pdu), rejected_reason: null, was_stored: true, is_recomputed: true }
  room.events.push({ ...last, ...stored, current_changes: changes })
  const roomId = roomIdOf(room)
  room.writes.push(async (tx) => {
    for (const { type, state_key, event } of changes) {
      if (type !== 'm.room.member' || !isUserId(state_key)) continue
      const detail = storableText(String(event?.pdu.content.membership ?? 'leave'))
      const ref = event?.event_nid ?? null
      appendToStream(tx, { kind: 'state', room_id: roomId, user_id: state_key, ref, detail })
    }
  })
}
