import { domainOf, type EventId, type RoomId } from '../../core/ids.ts'
import { BUMP_TYPES } from '../../core/rooms/bump-types.ts'
import { relationOf } from '../../core/rooms/relations.ts'
import { orderAfterGap } from '../../core/rooms/timeline-gaps.ts'
import { searchableText } from '../../core/text/searchable-text.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { storableText } from '../../storage/engine/storable-text.ts'
import { appendToStream } from '../../storage/engine/stream-append.ts'
import {
  type ImportedEvent,
  type ImportedGap,
  type PlacedStreamRow,
  storeImportedEvents,
  storeImportedGaps,
  storePlacedRows,
} from '../../storage/import/store-imported-events.ts'
import { streamRowOf } from '../../storage/rooms/store-appended-events.ts'
import { noteEarlyRedaction } from '../../storage/rooms/timeline/early-redactions.ts'
import { storeStateNodes } from '../../storage/rooms/timeline/room-state.ts'
import { type ImportContext, integerOf } from './import-step.ts'
import type { CurrentChange, ImportedStates } from './imported-states.ts'
import { readEvents, type SynapseEvent } from './read-events.ts'
import type { ImportPlan, PlannedEvent } from './room-plan.ts'

/** How far a room's timeline is. */
export type RoomProgress = {
  nextHistoryOrder: number
  nextOrder: number
  /** Root of the room's current state. */
  root: number
  extremities: string[]
  depth: number
  /** Depth of the event with which this server last joined the room. */
  beginDepth: number
  /** Synapse's numbers of the last event, and of the last one that moves the room up in lists. */
  activity: number
  bump: number
}

/** The changes of a page of events, ready to be stored. */
type Page = {
  events: ImportedEvent[]
  rows: PlacedStreamRow[]
  history: { room_id: RoomId; event_nid: number; redacts: string | null }[]
  gaps: ImportedGap[]
  unknownRedacted: { redacts: EventId; event_id: EventId; room_id: RoomId }[]
}

type Work = {
  context: ImportContext
  plan: ImportPlan
  states: ImportedStates
  progress: Map<RoomId, RoomProgress>
  page: Page
}

/**
 * Prepares events for storage, in the order of the plan, and advances the progress of their rooms. Returns the function
 * that stores them.
 */
export async function importEvents(
  context: ImportContext,
  { plan, states, progress }: Pick<Work, 'plan' | 'states' | 'progress'>,
  planned: readonly PlannedEvent[],
): Promise<(tx: Tx) => Promise<number>> {
  const page: Page = { events: [], rows: [], history: [], gaps: [], unknownRedacted: [] }
  const work = { context, plan, states, progress, page }
  const events = await readEvents(context, plan, planned)
  const changes = await loadCurrentChanges(context, planned)
  for (const event of events) {
    if (event.planned.phase === 'outlier') placeOutlier(work, event)
    else await placeEvent(work, event, changes.get(event.planned.ordering) ?? [])
  }
  const nodes = states.takeNodes()
  return async (tx) => {
    await storeImportedEvents(tx, page.events)
    await storeStateNodes(tx, nodes)
    await storePlacedRows(tx, page.rows)
    await storeImportedGaps(tx, page.gaps)
    for (const redaction of page.unknownRedacted) await noteEarlyRedaction(tx, redaction)
    for (const { room_id, event_nid, redacts } of page.history)
      appendToStream(tx, { kind: 'history', ref: event_nid, ...(redacts !== null && { room_id, detail: redacts }) })
    return page.events.length
  }
}

/** Begins a room's timeline. */
export function newProgress(history: number): RoomProgress {
  return {
    nextHistoryOrder: 1 - history,
    nextOrder: 1,
    root: 0,
    extremities: [],
    depth: 0,
    beginDepth: 0,
    activity: 0,
    bump: 0,
  }
}

type DeltaRow = CurrentChange & { stream_id: number }

/** Returns how events changed the current state of their rooms, by Synapse's number of the event. */
async function loadCurrentChanges(
  { main }: ImportContext,
  planned: readonly PlannedEvent[],
): Promise<Map<number, DeltaRow[]>> {
  const orderings = planned.filter(({ phase }) => phase === 'live').map(({ ordering }) => ordering)
  const rows = await main.query<DeltaRow>(
    'select stream_id, type, state_key, event_id from current_state_delta_stream where stream_id = any($1)',
    [orderings],
  )
  return Map.groupBy(rows, ({ stream_id }) => stream_id)
}

/** An outlier has no state and no place; an invite or knock is one, too, and concerns its user. */
function placeOutlier({ context, page }: Work, event: SynapseEvent): void {
  const { planned, pdu, metadata } = event
  page.events.push(eventRow(context, event, {}))
  const isOwn = metadata.out_of_band_membership === true && planned.ordering > 0 && event.rejection === null
  if (isOwn && domainOf(pdu.state_key ?? '') === context.serverName) page.rows.push(streamRow(context, event))
}

async function placeEvent(work: Work, event: SynapseEvent, changes: readonly DeltaRow[]): Promise<void> {
  const { context, plan, states, progress, page } = work
  const { planned, pdu } = event
  const prevs = pdu.prev_events.map((prev) => (typeof prev === 'string' ? prev : prev[0]))
  const { before, after } = await states.statesOf(event, prevs)
  const gaps = prevs.filter((id) => !plan.byId.get(id)?.stateAfter)
  planned.stateAfter = after
  const placed = { state_before: before, state_after: after }
  if (event.rejection !== null) {
    page.events.push(eventRow(context, event, placed))
    return
  }
  const room = progress.get(planned.room_id)!
  if (planned.phase === 'history') {
    page.events.push(eventRow(context, event, { ...placed, event_order: room.nextHistoryOrder }))
    noteGaps(work, event, { gaps, order: room.nextHistoryOrder })
    noteHistory(work, event)
    room.nextHistoryOrder++
    return
  }
  const order = gaps.length > 0 && room.nextOrder > 1 ? orderAfterGap(room.nextOrder) : room.nextOrder
  const room_before = room.root
  if (!event.softFailed) await advance(work, event, { prevs, gaps, after, changes })
  room.nextOrder = order + 1
  page.events.push(
    eventRow(context, event, {
      ...placed,
      event_order: order,
      room_before: room_before === before ? null : room_before,
      room_after: room.root === after ? null : room.root,
    }),
  )
  if (event.redactsUnknown !== null)
    page.unknownRedacted.push({
      ...{ redacts: event.redactsUnknown, event_id: planned.event_id, room_id: planned.room_id },
    })
  if (event.softFailed) return
  noteGaps(work, event, { gaps, order })
  page.rows.push(streamRow(context, event))
}

type Advance = { prevs: string[]; gaps: string[]; after: number; changes: readonly DeltaRow[] }

/** Without forks, the current state is the state after the last event. In forks, Synapse has noted its changes. */
async function advance(
  { context, states, progress }: Work,
  { planned, pdu }: SynapseEvent,
  { prevs, gaps, after, changes }: Advance,
): Promise<void> {
  const room = progress.get(planned.room_id)!
  room.extremities = [...room.extremities.filter((id) => !prevs.includes(id)), planned.event_id]
  const isForked = room.extremities.length > 1 && room.root !== 0
  room.root = isForked ? await states.apply(planned.room_id, room.root, changes) : after
  // Old room versions permit any number.
  const depth = integerOf(pdu.depth)
  room.depth = Math.max(room.depth, depth)
  room.activity = planned.ordering
  if (BUMP_TYPES.has(pdu.type)) room.bump = planned.ordering
  const joins = pdu.type === 'm.room.member' && pdu.content.membership === 'join'
  if (joins && gaps.length > 0 && domainOf(pdu.state_key ?? '') === context.serverName) room.beginDepth = depth
}

function noteGaps({ page }: Work, { planned }: SynapseEvent, { gaps, order }: { gaps: string[]; order: number }): void {
  for (const id of gaps) page.gaps.push({ room_id: planned.room_id, event_id: id as EventId, referrer_order: order })
}

/** Search finds history by rows that wake nobody. */
function noteHistory({ context, page }: Work, event: SynapseEvent): void {
  const { planned, pdu, softFailed, version } = event
  if (softFailed) return
  const row = { room_id: planned.room_id, event_nid: nidOf(context, planned) }
  if (pdu.type === 'm.room.redaction')
    page.history.push({ ...row, redacts: streamRowOf(version, { ...row, pdu }).detail })
  else if (searchableText(pdu)) page.history.push({ ...row, redacts: null })
}

function nidOf({ extent }: ImportContext, { ordering }: PlannedEvent): number {
  return ordering + extent.nidShift
}

function streamRow(context: ImportContext, { planned, pdu, version }: SynapseEvent): PlacedStreamRow {
  const row = streamRowOf(version, { room_id: planned.room_id, event_nid: nidOf(context, planned), pdu })
  return { ...row, stream_position: planned.ordering }
}

type Placement = Partial<
  Pick<ImportedEvent, 'event_order' | 'state_before' | 'state_after' | 'room_before' | 'room_after'>
>

function eventRow(context: ImportContext, event: SynapseEvent, placement: Placement): ImportedEvent {
  const { planned, pdu } = event
  const relation = relationOf(pdu.content)
  return {
    event_order: null,
    state_before: null,
    state_after: null,
    room_before: null,
    room_after: null,
    ...placement,
    event_nid: nidOf(context, planned),
    event_id: planned.event_id,
    room_id: planned.room_id,
    type: storableText(pdu.type),
    state_key: pdu.state_key === undefined ? null : storableText(pdu.state_key),
    sender: pdu.sender,
    origin_server_ts: integerOf(pdu.origin_server_ts),
    depth: integerOf(pdu.depth),
    json: event.json,
    rejected: event.rejection === null ? null : storableText(event.rejection),
    soft_failed: event.softFailed,
    redacted_by: event.redactedBy,
    relates_to: relation?.event_id ?? null,
    rel_type: relation?.rel_type ?? null,
    txn_device_id: event.txnDeviceId as ImportedEvent['txn_device_id'],
    txn_id: event.txnId,
  }
}
