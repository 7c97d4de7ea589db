import type { App } from '../../../app.ts'
import { stickyDuration } from '../../../core/events/sticky.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { orderAfterGap } from '../../../core/rooms/timeline-gaps.ts'
import {
  type AppendedEvent,
  findLockedEvents,
  headOf,
  type LockedRoom,
  readLockedStateAt,
} from '../../../storage/rooms/timeline/locked-room.ts'
import {
  forgetMissingPrev,
  isMissingPrev,
  noteMissingPrevs,
} from '../../../storage/rooms/timeline/missing-prev-events.ts'
import { noteSoftFailure } from '../../../storage/rooms/timeline/refused-events.ts'
import { noteBeginning } from '../../../storage/rooms/timeline/room-heads.ts'
import { type StoredEvent, withoutUnsigned } from '../../../storage/schema/stored-event.ts'
import { applyEarlyRedactions, applyRemoteRedaction } from './apply-redaction.ts'
import { changeLockedState } from './change-locked-state.ts'
import { judgeRemoteEvent, type RemoteVerdict } from './judge-remote-event.ts'
import { stateWithAuthEvents } from './partial-state.ts'
import { placeEvent } from './place-event.ts'
import { requirePolicySignature } from './policy-server.ts'
import { releaseEvents, releaseHistory } from './release-events.ts'
import { resolveStates } from './resolve-states.ts'
import { requireSpamCheck } from './spam-check.ts'

/** Data that the caller has and the room does not. */
export type RemoteEventContext = {
  /** State groups after prev events that are not in the timeline, from other servers. */
  prevStates?: ReadonlyMap<EventId, number>
  /** State group before the event, whatever its prev events are: a joining server gets it from the resident server. */
  stateBefore?: number
  /** Set for a room that this server does not have yet; the state before the event has its create event. */
  newRoom?: { version: RoomVersion }
  /** The event is history: it gets this order, and changes nothing in the room. */
  historyOrder?: number
  /** The room's head is outdated, since this server has not participated: the event becomes the only extremity. */
  replacesHead?: boolean
  /** The reason why the policy server or the spam check refuses the event, or cannot be asked. */
  refusedByPolicy?: string
}

export type RemoteOutcome = {
  /** known: the event was stored before, and stays unchanged. */
  outcome: 'accepted' | 'soft-failed' | 'rejected' | 'known'
  event: StoredEvent
  /** The reason of a refusal. */
  reason?: string
}

/** Thrown for missing referenced events, which have to be fetched before a retry. */
export class MissingEventsError extends Error {
  readonly prevIds: readonly EventId[]
  readonly authIds: readonly EventId[]
  constructor(prevIds: readonly EventId[], authIds: readonly EventId[]) {
    super(`events are missing: ${[...prevIds, ...authIds].join(' ')}`)
    this.prevIds = prevIds
    this.authIds = authIds
  }
}

type Capabilities = Pick<App, 'takeNids' | 'serverName' | 'clock' | 'spamChecks' | 'timeline'>

/**
 * Appends a remote event with verified signatures and hash to a room: finds the state before it from its prev events,
 * checks the authorization rules, and advances the room's head and current state. The command that holds `room` stores
 * it when it succeeds, also if it is rejected. Throws MissingEventsError, without changes, if referenced events are
 * missing, and ApprovalNeeded if the policy server or the service for spam checks has to be asked.
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 */
export async function appendRemoteEvent(
  app: Capabilities,
  room: LockedRoom,
  event: Event,
  context: RemoteEventContext = {},
): Promise<RemoteOutcome> {
  const [known] = await findLockedEvents(room, [event.event_id])
  if (known && known.event_order !== null) return { outcome: 'known', event: known }
  const version = room.head?.version ?? context.newRoom?.version
  if (!version) throw new Error(`this server does not have the room ${event.room_id}`)
  const { authEvents, stateBefore, gaps } = await loadReferences(app, room, { version, event, context })
  if (context.newRoom || context.replacesHead) await renewHead(room, { version, event, stateBefore })
  const { historyOrder } = context
  const isHistory = historyOrder !== undefined
  // With partial state the check against the current state is skipped, and repeated when the state is full.
  const skipsCurrent = isHistory || headOf(room).is_partial
  const received = { version, event, authEvents, stateBefore }
  const judged = await judgeRemoteEvent(room, { ...received, skipsCurrent })
  const verdict = await policyVerdict(app, room, {
    event,
    verdict: judged,
    context,
  })
  const is_never_sticky =
    context.refusedByPolicy !== undefined ||
    (isHistory &&
      stickyDuration(event.pdu) !== undefined &&
      (await judgeRemoteEvent(room, { ...received, skipsCurrent: false })).outcome !== 'accepted')
  const received_states = context.prevStates
  const appended = await store(app, room, {
    version,
    event,
    known,
    stateBefore,
    gaps,
    verdict,
    historyOrder,
    received_states,
    is_never_sticky,
  })
  const reason = verdict.outcome === 'accepted' ? {} : { reason: verdict.reason }
  return { outcome: verdict.outcome, event: appended, ...reason }
}

/**
 * The last check. A joining server does not know the policy server yet, and history was checked by servers that were in
 * the room.
 */
async function policyVerdict(
  app: Capabilities,
  room: LockedRoom,
  { event, verdict, context }: { event: Event; verdict: RemoteVerdict; context: RemoteEventContext },
): Promise<RemoteVerdict> {
  const isExempt = context.newRoom || context.replacesHead || context.historyOrder !== undefined
  if (verdict.outcome !== 'accepted' || isExempt) return verdict
  if (context.refusedByPolicy !== undefined) return { outcome: 'soft-failed', reason: context.refusedByPolicy }
  requireSpamCheck(app, room, event)
  await requirePolicySignature(room, event)
  return verdict
}

type References = {
  authEvents: StoredEvent[]
  /** State group before the event. */
  stateBefore: number
  /** Prev events of which at most the state after them is known. */
  gaps: EventId[]
}

async function loadReferences(
  app: Capabilities,
  room: LockedRoom,
  { version, event, context }: { version: RoomVersion; event: Event; context: RemoteEventContext },
): Promise<References> {
  const authEvents = await findLockedEvents(room, event.auth_event_ids)
  const prevEvents = await findLockedEvents(room, event.prev_event_ids)
  const roots = new Map(
    prevEvents.flatMap(({ event_id, state_after: root }) => (root === null ? [] : [[event_id, root]])),
  )
  const gaps = event.prev_event_ids.filter((id) => !roots.has(id))
  for (const [id, root] of context.prevStates ?? []) if (!roots.has(id)) roots.set(id, root)
  const missingPrev = context.stateBefore === undefined ? gaps.filter((id) => !roots.has(id)) : []
  const authIds = new Set(authEvents.map(({ event_id }) => event_id))
  const missingAuth = event.auth_event_ids.filter((id) => !authIds.has(id))
  if (missingPrev.length + missingAuth.length > 0) throw new MissingEventsError(missingPrev, missingAuth)
  if (context.stateBefore !== undefined) return { authEvents, stateBefore: context.stateBefore, gaps }
  const root = await resolveStates(app, room, { version, roots: event.prev_event_ids.map((id) => roots.get(id)!) })
  const stateBefore = room.head?.is_partial ? await stateWithAuthEvents(app, room, { version, authEvents, root }) : root
  return { authEvents, stateBefore, gaps }
}

/** Returns the head of a room that begins, or continues after a gap, with this event. */
async function renewHead(
  room: LockedRoom,
  { version, event, stateBefore }: { version: RoomVersion; event: Event; stateBefore: number },
): Promise<void> {
  const [create] = await readLockedStateAt(room, stateBefore, [{ type: 'm.room.create', state_key: '' }])
  if (!create) throw new Error(`the state before ${event.event_id} has no m.room.create`)
  room.head = {
    room_id: event.room_id as RoomId,
    version,
    create_nid: create.event_nid,
    state_root: room.head?.state_root ?? 0,
    depth: 0,
    next_order: room.head?.next_order ?? 1,
    forward_extremities: [],
    is_partial: room.head?.is_partial ?? false,
  }
  noteBeginning(room, event.room_id as RoomId, event.pdu.depth)
}

type Judged = {
  version: RoomVersion
  event: Event
  known: StoredEvent | undefined
  stateBefore: number
  gaps: readonly EventId[]
  verdict: RemoteVerdict
  historyOrder: number | undefined
  received_states: ReadonlyMap<EventId, number> | undefined
  is_never_sticky: boolean
}

async function store(app: Capabilities, room: LockedRoom, judged: Judged): Promise<AppendedEvent> {
  const { version, event, known, stateBefore, verdict } = judged
  const nid = known?.event_nid ?? ((await app.takeNids(room.db, 1)) as [number])[0]
  const draft = draftOf(room, judged, nid)
  if (verdict.outcome === 'rejected') {
    room.events.push(draft)
    return draft
  }
  const { type, state_key } = event.pdu
  const changes = state_key === undefined ? [] : [{ type, state_key, event_nid: nid }]
  const state_after = await changeLockedState(app, room, { root: stateBefore, changes })
  const appended = { ...draft, state_after, room_after: state_after }
  if (verdict.outcome === 'soft-failed') noteSoftFailure(room, nid, verdict.reason)
  const redactions = await applyEarlyRedactions(room, version, appended)
  const placed = await place(app, room, { judged, event: await withheld(room, appended, judged) })
  const release = placed.is_history ? releaseHistory : releaseEvents
  release(room, redactions)
  return placed
}

/** Why a redaction is withheld. */
const WITHHELD = 'redaction: the event that it names is not here, or its sender may not redact that event'

/**
 * A redaction that is not valid, or not yet, is hidden from clients like a soft-failed event: they would hide the event
 * that it names.
 */
async function withheld(room: LockedRoom, event: AppendedEvent, { version, verdict }: Judged): Promise<AppendedEvent> {
  if (event.pdu.type !== 'm.room.redaction' || verdict.outcome !== 'accepted') return event
  const isApplied = await applyRemoteRedaction(room, version, event)
  if (!isApplied) noteSoftFailure(room, event.event_nid, WITHHELD)
  return { ...event, soft_failed: !isApplied }
}

async function place(
  app: Capabilities,
  room: LockedRoom,
  { judged: { version, verdict, gaps, historyOrder }, event }: { judged: Judged; event: AppendedEvent },
): Promise<AppendedEvent> {
  if (verdict.outcome === 'soft-failed') return placeBeside(room, event)
  noteMissingPrevs(room, event, gaps)
  if (historyOrder !== undefined) return placeInHistory(room, event)
  if (event.soft_failed) return placeBeside(room, event)
  if (!(await isMissingPrev(room, event))) return placeEvent(app, room, { version, event })
  // The event arrived late: its successors were here first, and have determined the current state.
  forgetMissingPrev(room, event)
  return placeBeside(room, event)
}

/** Adds an event without changing the room's head or state. */
function placeBeside(room: LockedRoom, event: AppendedEvent): AppendedEvent {
  const root = room.head!.state_root
  const placed = { ...event, room_before: root, room_after: root, current_changes: [] }
  room.events.push(placed)
  room.head = { ...room.head!, next_order: event.event_order! + 1 }
  return placed
}

/** Clients get no update of history: they find it when they paginate. */
function placeInHistory(room: LockedRoom, event: AppendedEvent): AppendedEvent {
  const placed = { ...event, is_history: true, current_changes: [] }
  room.events.push(placed)
  forgetMissingPrev(room, placed)
  return placed
}

function draftOf(room: LockedRoom, judged: Judged, nid: number): AppendedEvent {
  const { event, known, stateBefore, verdict, gaps, historyOrder, received_states, is_never_sticky } = judged
  const isRejected = verdict.outcome === 'rejected'
  const next = room.head!.next_order
  const hasGap = gaps.length > 0 && next > 1
  // An outlier that was redacted stays redacted.
  const pdu = known?.redacted_by ? known.pdu : withoutUnsigned(event.pdu)
  const json = JSON.stringify(pdu)
  return {
    ...event,
    pdu,
    event_nid: nid,
    event_order: isRejected ? null : (historyOrder ?? (hasGap ? orderAfterGap(next) : next)),
    state_before: stateBefore,
    state_after: stateBefore,
    room_before: stateBefore,
    room_after: stateBefore,
    soft_failed: verdict.outcome === 'soft-failed',
    redacted_by: known?.redacted_by ?? null,
    rejected: isRejected,
    rejected_reason: isRejected ? verdict.reason : null,
    txn_device_id: null,
    txn_id: null,
    was_stored: known !== undefined,
    is_never_sticky,
    ...(received_states && { received_states }),
    json,
    size: json.length,
  }
}
