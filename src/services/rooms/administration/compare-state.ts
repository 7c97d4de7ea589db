import type { App } from '../../../app.ts'
import { type EventId, isUserId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import { type JoinedRoomMember, joinedRoomMember } from '../../../storage/rooms/membership/joined-room-members.ts'
import { loadStoredMembers, type StoredMember } from '../../../storage/rooms/membership/stored-members.ts'
import { findRoom, SUMMARISED_TYPES, SUMMARY_FIELDS, summaryFields } from '../../../storage/rooms/room-summary.ts'
import { loadEventTexts } from '../../../storage/rooms/timeline/event-texts.ts'
import { loadEvents, loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import {
  headOf,
  type LockedRoom,
  overlayOf,
  roomIdOf,
  type StateChange,
} from '../../../storage/rooms/timeline/locked-room.ts'
import {
  LostStateError,
  readNidDiff,
  readStateEvents,
  readStateNids,
} from '../../../storage/rooms/timeline/room-state.ts'
import type { RoomRow } from '../../../storage/schema/rooms.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { stateChanges } from '../timeline/state-changes.ts'
import { type Replay, recomputedAfter, resolveAgain } from './replay-states.ts'

/** An event that two states have for one key; null: none. */
export type StateDifference = { type: string; state_key: string; stored: EventId | null; recomputed: EventId | null }

/** How a room's recomputed state differs from what is stored; lists are cut at `MOST_LISTED`. */
export type StateComparison = {
  /** Differences of the current state. */
  state: StateDifference[]
  state_total: number
  /** Users whose stored membership is not that of the state. */
  members: UserId[]
  members_total: number
  /** Columns of the room's summary that do not follow from the state. */
  summary: string[]
}

/** The comparison, with everything that a repair needs. */
export type ComparedState = {
  root: number
  comparison: StateComparison
  changes: StateChange[]
  isEqual: boolean
}

const MOST_LISTED = 100
const CHUNK = 1000

/**
 * Recomputes the current state of a locked room from its forward extremities, whose states have been replayed, and
 * compares it with the stored one, the stored members and the summary. Throws LostStateError if the states after the
 * extremities are unknown.
 */
export async function compareState(
  app: Pick<App, 'takeNids' | 'serverName'>,
  room: LockedRoom,
  replay: Replay,
): Promise<ComparedState> {
  const head = headOf(room)
  const ends = await loadEventsById(room.db, head.forward_extremities)
  const roots = ends.flatMap((event) => recomputedAfter(replay, event) ?? [])
  if (roots.length === 0 || roots.length < head.forward_extremities.length)
    throw new LostStateError('The states after the forward extremities of the room are not in the database')
  const root = await resolveAgain(app, room, { roots, stored: head.state_root })
  const { added, removed } = await loadDifference(room, head.state_root, root)
  const members = await compareMembers(app, room, root)
  const summary = await compareSummary(room, root, members)
  const differing = await loadEvents(
    room.db,
    members.wrong.map(({ event_nid }) => event_nid),
  )
  const found = members.wrong.map(({ user_id, event_nid }) => memberChange(user_id, differing.get(event_nid)))
  const lost = members.lost.map((userId) => memberChange(userId, undefined))
  const state = differences(removed, added)
  const wrong = [...members.wrong.map(({ user_id }) => user_id as UserId), ...members.lost]
  return {
    root,
    changes: [...stateChanges(removed, added), ...summary.changes, ...found, ...lost],
    isEqual: state.length + wrong.length + summary.fields.length === 0 && replay.changed.size === 0,
    comparison: {
      ...{ state: state.slice(0, MOST_LISTED), state_total: state.length },
      ...{ members: wrong.slice(0, MOST_LISTED), members_total: wrong.length, summary: summary.fields },
    },
  }
}

async function loadDifference(room: LockedRoom, from: number, to: number) {
  const { added, removed } = await readNidDiff(room.db, { from, to, part: 'all' }, overlayOf(room))
  const events = await loadEvents(room.db, [...added, ...removed])
  const pick = (nids: readonly number[]) => nids.flatMap((nid) => events.get(nid) ?? [])
  return { added: pick(added), removed: pick(removed) }
}

function differences(removed: readonly StoredEvent[], added: readonly StoredEvent[]): StateDifference[] {
  const byKey = new Map<string, StateDifference>()
  const note = (event: StoredEvent, where: 'stored' | 'recomputed') => {
    const { type, state_key: stateKey = '' } = event.pdu
    const key = `${type}\0${stateKey}`
    const known = byKey.get(key) ?? { type, state_key: stateKey, stored: null, recomputed: null }
    byKey.set(key, { ...known, [where]: event.event_id })
  }
  for (const event of removed) note(event, 'stored')
  for (const event of added) note(event, 'recomputed')
  return [...byKey.values()]
}

function memberChange(userId: string, event: StoredEvent | undefined): StateChange {
  return { type: 'm.room.member', state_key: userId, event }
}

type ComparedMembers = {
  /** The members of the state that are stored otherwise, or not at all. */
  wrong: JoinedRoomMember[]
  /** Stored members whom the state does not have. */
  lost: UserId[]
  counts: Partial<RoomRow>
}

async function compareMembers(
  { serverName }: Pick<App, 'serverName'>,
  room: LockedRoom,
  root: number,
): Promise<ComparedMembers> {
  const stored = await loadStoredMembers(room.db, roomIdOf(room))
  const wrong: JoinedRoomMember[] = []
  // Invites that came without the room's other events are not part of its state.
  let hasOutOfBand = false
  const keepsStored = (row: StoredMember) => serverNameOf(row.user_id) === serverName && isOutOfBand(row)
  const counts = { joined_members: 0, joined_local_members: 0, invited_members: 0, member_events: 0 }
  for await (const member of membersAt(room, root)) {
    const { user_id: userId, membership } = member
    const isOurs = serverNameOf(userId as UserId) === serverName
    const row = stored.get(userId)
    stored.delete(userId)
    counts.member_events++
    if (membership === 'join') counts.joined_members++
    if (membership === 'join' && isOurs) counts.joined_local_members++
    if (membership === 'invite') counts.invited_members++
    if (row && isSameMember(row, member)) continue
    if (row && keepsStored(row)) hasOutOfBand = true
    else wrong.push(member)
  }
  const extra = [...stored.values()].filter((row) => !keepsStored(row))
  hasOutOfBand ||= extra.length < stored.size
  return { wrong, lost: extra.map(({ user_id }) => user_id), counts: hasOutOfBand ? {} : counts }
}

async function* membersAt(room: LockedRoom, root: number): AsyncGenerator<JoinedRoomMember> {
  const nids = await readStateNids(room.db, root, 'members', overlayOf(room))
  for (let start = 0; start < nids.length; start += CHUNK) {
    for (const { event_nid, json } of await loadEventTexts(room.db, nids.slice(start, start + CHUNK))) {
      const member = joinedRoomMember(JSON.parse(json) as Pdu, event_nid)
      if (member && isUserId(member.user_id)) yield member
    }
  }
}

function isSameMember(row: StoredMember, member: JoinedRoomMember): boolean {
  return (
    row.event_nid === member.event_nid &&
    row.membership === storableText(member.membership) &&
    row.displayname === member.displayname &&
    row.avatar_url === member.avatar_url
  )
}

/** An invite, knock, or the end of one that came apart from the room's events. */
function isOutOfBand({ is_outlier, membership }: StoredMember): boolean {
  return is_outlier && membership !== 'join'
}

/** Compares the columns of the room's summary; `changes` set them right. */
async function compareSummary(
  room: LockedRoom,
  root: number,
  { counts }: ComparedMembers,
): Promise<{ fields: string[]; changes: StateChange[] }> {
  const row = await findRoom(room.db, roomIdOf(room))
  if (!row) return { fields: [], changes: [] }
  const keys = SUMMARISED_TYPES.map((type) => ({ type, state_key: '' }))
  const events = await readStateEvents(room.db, root, keys, overlayOf(room))
  const others = await readStateNids(room.db, root, 'rest', overlayOf(room))
  const expected = events.map((event) => (event ? summaryFields(event.pdu) : {}))
  const right: Record<string, unknown> = Object.assign({}, ...expected)
  const fields = SUMMARY_FIELDS.filter((field) => (right[field] ?? null) !== row[field])
  const wrongCounts = Object.entries({ ...counts, other_state_events: others.length })
    .filter(([column, count]) => row[column as keyof RoomRow] !== count)
    .map(([column]) => column)
  const changes = keys.map(({ type }, place) => ({ type, state_key: '', event: events[place] }))
  return { fields: [...fields, ...wrongCounts], changes: fields.length > 0 ? changes : [] }
}
