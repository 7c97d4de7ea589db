import type { App } from '../../../app.ts'
import { type ClientEvent, clientEvent } from '../../../core/events/client-event.ts'
import { redact } from '../../../core/events/redaction.ts'
import { stickyUntil } from '../../../core/events/sticky.ts'
import type { DeviceId, EventId, RoomId, UserId } from '../../../core/ids.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import type { BundledRelType } from '../../../storage/rooms/relations.ts'
import { loadStickyUntil } from '../../../storage/rooms/sticky-events.ts'
import { MAX_EVENT_BYTES } from '../../../storage/rooms/timeline/event-sizes.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { type Bundle, loadBundles } from './bundled-relations.ts'
import { erasedFor } from './erased-events.ts'

const REDACTIONS_AT_ONCE = 100
const LARGE_REDACTION = 2048
/** Limit for the replaced content of state events in a response; `prev_content` is left out beyond it. */
const MOST_REPLACED_BYTES = 8 * 1024 * 1024
/** Their events are in memory together: at most 32 MiB. A first sync of 50 rooms takes one query. */
const LOOKUPS_AT_ONCE = (32 * 1024 * 1024) / MAX_EVENT_BYTES

type Serving = Pick<App, 'config' | 'database' | 'clock' | 'reading'>

export type ServeCommand = {
  events: readonly StoredEvent[]
  /**
   * The user and device that receive the events; the device sees its own transaction IDs. Null: no particular one, such
   * as an application service.
   */
  userId: UserId | null
  deviceId: DeviceId | null
}

/**
 * Converts timeline events into the client format, with `unsigned`: age, transaction_id, redacted_because, prev_content
 * and replaces_state, membership, and if `bundle` is set `m.relations`. Keeps the order. The caller checks visibility.
 * Costs one query per kind of data that some event needs and no cache has; for plain fresh messages none.
 * `bundle`: in /sync only for limited timelines. https://spec.matrix.org/v1.19/client-server-api/#room-event-format
 */
export async function serveEvents(app: Serving, command: ServeCommand & { bundle?: boolean }): Promise<ClientEvent[]> {
  return serveTimeline(app, command, command.bundle ? ['m.replace', 'm.thread', 'm.reference'] : [])
}

/**
 * Converts events of a state, such as a room's members, into the client format: as `serveEvents`, but without data that
 * depends on the place in the timeline, so that it needs no read per event.
 */
export async function serveStateEvents(app: Serving, command: ServeCommand): Promise<ClientEvent[]> {
  return assemble(app, command, [await redactionsOf(app, command)])
}

/** The additions of one look-up to `unsigned`, by index in the list. */
type Additions = (event: StoredEvent, place: number) => JsonObject | undefined
const NOTHING: Additions = () => undefined

async function serveTimeline(
  app: Serving,
  command: ServeCommand,
  relTypes: readonly BundledRelType[],
): Promise<ClientEvent[]> {
  if (command.events.length === 0) return []
  return assemble(app, command, [
    await redactionsOf(app, command),
    await statesOf(app, command),
    await relationsOf(app, command, relTypes),
  ])
}

async function assemble(app: Serving, command: ServeCommand, additions: readonly Additions[]): Promise<ClientEvent[]> {
  const versions = await loadRoomVersions(app.database, new Set(command.events.map((event) => event.room_id)))
  const erased = await erasedFor(app, command.userId === null ? [] : [command.userId], command.events)
  const now = app.clock.now()
  const sticky = nidsOfSticky(command.events, now)
  const ends = sticky.length === 0 ? NONE : await loadStickyUntil(app.database, sticky)
  return command.events.map((event, place) => {
    if (erased.has(event)) return erasedEvent(event, versionOf(versions, event.room_id), now)
    const unsigned: JsonObject = { age: now - event.pdu.origin_server_ts }
    if (event.txn_id !== null && event.txn_device_id === command.deviceId && event.pdu.sender === command.userId) {
      unsigned.transaction_id = event.txn_id
    }
    if (event.delay_id != null && event.pdu.sender === command.userId) {
      unsigned['org.matrix.msc4140.delay_id'] = event.delay_id
    }
    const left = (ends.get(event.event_nid) ?? 0) - now
    if (left > 0) unsigned.msc4354_sticky_duration_ttl_ms = left
    for (const addition of additions) Object.assign(unsigned, addition(event, place))
    return { ...clientEvent(event, versionOf(versions, event.room_id)), unsigned }
  })
}

const NONE: ReadonlyMap<number, number> = new Map()

/** Returns the events that may still be sticky. */
function nidsOfSticky(events: readonly StoredEvent[], now: number): number[] {
  return events.flatMap(({ event_nid, pdu }) => (stickyUntil(pdu, now) === undefined ? [] : event_nid))
}

function erasedEvent(event: StoredEvent, version: RoomVersion, now: number): ClientEvent {
  const redacted = { ...event, pdu: redact(version, event.pdu) }
  return { ...clientEvent(redacted, version), unsigned: { age: now - event.pdu.origin_server_ts } }
}

/**
 * Rooms that this server has left for good have no stored version. It only matters for redactions, which then use the
 * newest form.
 */
function versionOf(versions: Map<RoomId, RoomVersion>, roomId: RoomId): RoomVersion {
  return versions.get(roomId) ?? ROOM_VERSIONS.get('12')!
}

/** https://spec.matrix.org/v1.19/client-server-api/#redactions */
async function redactionsOf(app: Serving, command: ServeCommand): Promise<Additions> {
  const ids = command.events.flatMap((event) => event.redacted_by ?? [])
  if (ids.length === 0) return NOTHING
  const byId = new Map<EventId | null, ClientEvent>()
  for (let start = 0; start < ids.length; start += REDACTIONS_AT_ONCE) {
    const redactions = await loadEventsById(app.database, ids.slice(start, start + REDACTIONS_AT_ONCE))
    const served = await assemble(app, { ...command, events: redactions }, [])
    for (const [place, redaction] of served.entries())
      byId.set(redaction.event_id, redactions[place]!.size > LARGE_REDACTION ? shortened(redaction) : redaction)
  }
  return (event) => {
    const redaction = byId.get(event.redacted_by)
    // `redacted_by` is the former key, which old clients read.
    return redaction && { redacted_because: redaction as JsonObject, redacted_by: redaction.event_id }
  }
}

/** Returns a redaction without keys that clients do not show. */
function shortened({ content: { reason, redacts }, ...redaction }: ClientEvent): ClientEvent {
  // A slice alone would keep the long text in memory.
  const short = typeof reason === 'string' ? Buffer.from(reason.slice(0, LARGE_REDACTION)).toString() : undefined
  const content: JsonObject = {
    ...(redacts !== undefined && { redacts }),
    ...(short !== undefined && { reason: short }),
  }
  return { ...redaction, content }
}

/** Loads the user's membership at each event, and the events that state events replaced. */
async function statesOf(app: Serving, command: ServeCommand): Promise<Additions> {
  const { events, userId } = command
  const roots = userId === null ? [] : [...new Set(events.flatMap((event) => event.state_after ?? []))]
  const members = new Map<number | null, Json | undefined>()
  const stateEvents = events.filter((event) => event.pdu.state_key !== undefined && event.state_before !== null)
  const previous = new Map<StoredEvent, JsonObject>()
  let left = MOST_REPLACED_BYTES
  const lookups = [
    ...roots.map((root) => ({ root, type: 'm.room.member', state_key: userId ?? '' })),
    ...stateEvents.map(({ state_before, pdu }) => ({ root: state_before!, type: pdu.type, state_key: pdu.state_key! })),
  ]
  for (let start = 0; start < lookups.length; start += LOOKUPS_AT_ONCE) {
    const found = await readEventsOfStates(app.database, lookups.slice(start, start + LOOKUPS_AT_ONCE))
    for (const [offset, state] of found.entries()) {
      const place = start + offset
      if (!state) continue
      if (place < roots.length) {
        members.set(roots[place]!, state.pdu.content.membership)
        continue
      }
      left -= state.size
      if (left >= 0) previous.set(stateEvents[place - roots.length]!, replacedBy(state))
    }
  }
  return (event) => ({
    ...(userId !== null && event.state_after !== null && { membership: members.get(event.state_after) ?? 'leave' }),
    ...previous.get(event),
  })
}

function replacedBy(previous: StoredEvent): JsonObject {
  return {
    prev_content: previous.pdu.content,
    // Not in the specification, but clients and tests expect it since Synapse sends it.
    prev_sender: previous.pdu.sender,
    replaces_state: previous.event_id,
  }
}

async function relationsOf(
  app: Serving,
  command: ServeCommand,
  relTypes: readonly BundledRelType[],
): Promise<Additions> {
  const { userId } = command
  const bundles = userId === null ? new Map() : await loadBundles(app, { ...command, userId, relTypes })
  if (bundles.size === 0) return NOTHING
  const pick = (choose: (bundle: Bundle) => StoredEvent | undefined) =>
    [...bundles.values()].flatMap((bundle) => choose(bundle) ?? [])
  const edits = await serveTimeline(app, { ...command, events: pick((bundle) => bundle.edit) }, [])
  // Without `m.thread`: threads cannot nest, so the recursion ends here.
  const latest = await serveTimeline(app, { ...command, events: pick((bundle) => bundle.thread?.latest) }, [
    'm.replace',
    'm.reference',
  ])
  const served = new Map([...edits, ...latest].map((event) => [event.event_id, event as JsonObject]))
  return (event) => {
    const bundle = bundles.get(event.event_id)
    return bundle && { 'm.relations': relationsJson(bundle, served) }
  }
}

function relationsJson({ edit, thread, references }: Bundle, served: Map<EventId, JsonObject>): JsonObject {
  return {
    ...(edit && { 'm.replace': served.get(edit.event_id)! }),
    ...(thread && {
      'm.thread': {
        latest_event: served.get(thread.latest.event_id)!,
        count: thread.count,
        current_user_participated: thread.participated,
      },
    }),
    ...(references && { 'm.reference': { chunk: references.map((event_id) => ({ event_id })) } }),
  }
}
