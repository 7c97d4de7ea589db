import { redactedEventId } from '../../core/events/client-event.ts'
import { redact } from '../../core/events/redaction.ts'
import { namesItsRoom } from '../../core/events/to-event.ts'
import { domainOf, type EventId, type RoomId } from '../../core/ids.ts'
import { withoutMember } from '../../core/json/without-member.ts'
import type { JsonObject, Pdu } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import type { ImportContext } from './import-step.ts'
import type { ImportPlan, PlannedEvent } from './room-plan.ts'

/** An event as Synapse stores it, in redacted form if it is redacted. */
export type SynapseEvent = {
  planned: PlannedEvent
  version: RoomVersion
  pdu: Pdu
  /** The PDU's text without `unsigned`. */
  json: string
  unsigned: JsonObject
  /** Synapse's notes about it: `internal_metadata`. */
  metadata: JsonObject
  redactedBy: EventId | null
  /** Hidden from clients: refused by the current state when it came, or a redaction that is not valid. */
  softFailed: boolean
  /** The target of a redaction that this server does not have. */
  redactsUnknown: EventId | null
  rejection: string | null
  stateGroup: number | null
  txnDeviceId: string | null
  txnId: string | null
}

type EventRow = {
  event_id: EventId
  json: string
  internal_metadata: string
  reason: string | null
  state_group: number | null
  device_id: string | null
  txn_id: string | null
}

/** Reads planned events, in their order. Events without a text are left out. */
export async function readEvents(
  context: ImportContext,
  plan: ImportPlan,
  planned: readonly PlannedEvent[],
): Promise<SynapseEvent[]> {
  const rows = await context.main.query<EventRow>(
    `select events.event_id, json, internal_metadata, reason, state_group, device_id, txn_id
      from events join event_json on event_json.event_id = events.event_id
        left join rejections on rejections.event_id = events.event_id
        left join event_to_state_groups as groups on groups.event_id = events.event_id
        left join event_txn_id_device_id as txns on txns.event_id = events.event_id
      where events.stream_ordering = any($1)`,
    [planned.map(({ ordering }) => ordering)],
  )
  const byId = new Map(rows.map((row) => [row.event_id, row]))
  const redactions = await loadRedactions(context, planned)
  const events = planned.flatMap((each) => {
    const row = byId.get(each.event_id)
    if (!row) {
      context.note(`event ${each.event_id}: Synapse has no text of it`)
      return []
    }
    return parseEvent(row, each, plan.rooms.get(each.room_id)!.version)
  })
  await hideRefusedRedactions(context, events)
  return events.map((event) => (event.rejection === null ? withRedaction(event, redactions) : event))
}

function parseEvent(row: EventRow, planned: PlannedEvent, version: RoomVersion): SynapseEvent {
  const { unsigned = {}, ...rest } = JSON.parse(row.json) as Pdu
  const pdu = rest as Pdu
  const isAlone = namesItsRoom(version, pdu) && pdu.room_id !== undefined
  if (isAlone) delete pdu.room_id
  const json = withoutMember(row.json, 'unsigned')
  const metadata = JSON.parse(row.internal_metadata) as JsonObject
  return {
    planned,
    version,
    pdu,
    json: isAlone ? withoutMember(json, 'room_id') : json,
    unsigned,
    metadata,
    redactedBy: null,
    softFailed: metadata.soft_failed === true,
    redactsUnknown: null,
    rejection: planned.rejected ? (row.reason ?? 'rejected') : null,
    stateGroup: row.state_group,
    txnDeviceId: row.device_id,
    txnId: row.txn_id,
  }
}

type RedactionRow = {
  redacts: EventId
  event_id: EventId
  room_id: RoomId
  sender: string
  internal_metadata: string
  is_rejected: unknown
}

/** Returns the accepted redactions of events: Synapse stores the events whole for a week, and redacts when it reads. */
async function loadRedactions(
  { main }: ImportContext,
  planned: readonly PlannedEvent[],
): Promise<Map<EventId, RedactionRow[]>> {
  const rows = await main.query<RedactionRow>(
    `select redactions.redacts, redactions.event_id, events.room_id, sender, internal_metadata,
        rejections.event_id is not null as is_rejected
      from redactions join events on events.event_id = redactions.event_id
        join event_json on event_json.event_id = redactions.event_id
        left join rejections on rejections.event_id = redactions.event_id
      where redactions.redacts = any($1) order by redactions.event_id`,
    [planned.map(({ event_id }) => event_id)],
  )
  return Map.groupBy(
    rows.filter(({ is_rejected }) => !is_rejected),
    ({ redacts }) => redacts,
  )
}

type Redaction = { sender: string; metadata: JsonObject }

/** Redactions to which `recheck_redaction` applies count only for events of the same server. */
function isAllowed({ sender, metadata }: Redaction, target: string): boolean {
  return metadata.recheck_redaction !== true || domainOf(sender) === domainOf(target)
}

function withRedaction(event: SynapseEvent, redactions: ReadonlyMap<EventId, readonly RedactionRow[]>): SynapseEvent {
  const { planned, version, pdu } = event
  if (pdu.type === 'm.room.create') return event
  const found = redactions
    .get(planned.event_id)
    ?.find(
      ({ room_id, sender, internal_metadata }) =>
        room_id === planned.room_id && isAllowed({ sender, metadata: JSON.parse(internal_metadata) }, pdu.sender),
    )
  if (!found) return event
  const redacted = redact(version, pdu)
  return { ...event, pdu: redacted, json: JSON.stringify(redacted), redactedBy: found.event_id }
}

/** Clients would hide the event that a redaction names, so that a redaction without effect is hidden itself. */
async function hideRefusedRedactions({ main }: ImportContext, events: readonly SynapseEvent[]): Promise<void> {
  const redactions = events.flatMap((event) => {
    const redacts = redactedEventId(event.version, event.pdu)
    const isPlaced = event.rejection === null && event.planned.phase !== 'outlier'
    return redacts === undefined || !isPlaced ? [] : [{ event, redacts }]
  })
  if (redactions.length === 0) return
  const targets = await main.query<{ event_id: EventId; room_id: RoomId; sender: string }>(
    'select event_id, room_id, sender from events where event_id = any($1)',
    [redactions.map(({ redacts }) => redacts)],
  )
  const targetOf = new Map(targets.map((row) => [row.event_id, row]))
  for (const { event, redacts } of redactions) {
    const target = targetOf.get(redacts)
    const own = { sender: event.pdu.sender, metadata: event.metadata }
    if (!target) event.redactsUnknown = redacts
    if (!target || target.room_id !== event.planned.room_id || !isAllowed(own, target.sender)) event.softFailed = true
  }
}
