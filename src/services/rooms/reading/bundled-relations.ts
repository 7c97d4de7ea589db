import type { App } from '../../../app.ts'
import type { EventId, RoomId, UserId } from '../../../core/ids.ts'
import { type EditedEvent, isValidEdit } from '../../../core/rooms/relations.ts'
import {
  type BundledRelType,
  findEdits,
  findReferences,
  findRelations,
  type RelationParent,
  summariseThreads,
} from '../../../storage/rooms/relations.ts'
import { loadEventsWithin } from '../../../storage/rooms/timeline/event-sizes.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { loadJoinSpans } from '../access/join-spans.ts'
import { countingRelations } from './thread-of.ts'
import { visibleEvents } from './visible-events.ts'

/** Limit for each relation type, of the events read for a response; relations beyond it are left out. */
const MOST_BYTES = 8 * 1024 * 1024

/** The bundled relations of an event that a user may see. */
export type Bundle = {
  /** The latest valid edit. */
  edit?: StoredEvent
  thread?: { latest: StoredEvent; count: number; participated: boolean }
  references?: EventId[]
}

export type BundleCommand = { events: readonly StoredEvent[]; userId: UserId; relTypes: readonly BundledRelType[] }

/**
 * Aggregates the relations of events, by event ID; events without relations are absent. One query finds which events
 * have relations, then there is one per type found, whatever the number of events. State events have none.
 * https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events
 */
export async function loadBundles(
  app: Pick<App, 'config' | 'database' | 'clock' | 'reading'>,
  command: BundleCommand,
): Promise<Map<EventId, Bundle>> {
  const { userId, relTypes } = command
  const candidates = new Map(
    command.events.flatMap((event) => (event.pdu.state_key === undefined ? [[event.event_id, event] as const] : [])),
  )
  if (candidates.size === 0 || relTypes.length === 0) return new Map()
  const found = await findRelations(app.database, [...candidates.keys()], relTypes)
  if (found.length === 0) return new Map()

  const parents = new Set(found.map(({ parent }) => candidates.get(parent)!))
  const related = await countingRelations(app.database, [...parents])
  const rooms = new Set(found.map(({ parent }) => candidates.get(parent)!.room_id))
  const spans = await loadJoinSpans(app, userId, rooms)
  const ignored = await loadIgnoredUsers(app.database, userId)
  const parentsWith = (relType: BundledRelType): RelationParent[] =>
    found.flatMap(({ parent, rel_type }) => {
      const event = candidates.get(parent)!
      return rel_type === relType && mayHave(relType, event, related)
        ? relationParent(event, spans.get(event.room_id)?.end)
        : []
    })
  const bundles = new Map<EventId, Bundle>()
  const reader = { userId, ignored, candidates, related, bundles }
  await app.reading.inTurn(userId, async () => {
    await bundleEdits(app, parentsWith('m.replace'), reader)
    await bundleThreads(app, parentsWith('m.thread'), reader)
    await bundleReferences(app, parentsWith('m.reference'), reader)
  })
  return bundles
}

type Reader = {
  userId: UserId
  ignored: ReadonlySet<string>
  candidates: ReadonlyMap<EventId, StoredEvent>
  /** The parents that themselves relate to another event. */
  related: ReadonlyMap<StoredEvent, unknown>
  bundles: Map<EventId, Bundle>
}

/** A redacted event has no edits, and a related event cannot be the root of a thread. */
function mayHave(relType: BundledRelType, event: StoredEvent, related: ReadonlyMap<StoredEvent, unknown>): boolean {
  if (relType === 'm.replace') return event.redacted_by === null
  return relType !== 'm.thread' || !related.has(event)
}

/** Former members do not see relations after their leave. */
function relationParent(event: StoredEvent, leave: StoredEvent | undefined): RelationParent {
  const { event_id, room_id, pdu } = event
  return {
    event_id,
    room_id: room_id as RoomId,
    sender: pdu.sender,
    type: pdu.type,
    lastOrder: leave?.event_order ?? undefined,
  }
}

async function bundleEdits(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  parents: readonly RelationParent[],
  reader: Reader,
): Promise<void> {
  const unignored = parents.filter((parent) => !reader.ignored.has(parent.sender))
  if (unignored.length === 0) return
  const rows = await findEdits(app.database, unignored)
  for (const { parent, child } of await visibleChildren(app, rows, reader.userId)) {
    const isFirst = reader.bundles.get(parent)?.edit === undefined
    const original = reader.candidates.get(parent)!
    if (isFirst && isValidEdit(originalEvent(original, reader.related.has(original)), editedEvent(child)))
      add(reader, parent, { edit: child })
  }
}

async function bundleThreads(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  parents: readonly RelationParent[],
  reader: Reader,
): Promise<void> {
  if (parents.length === 0) return
  const threads = await summariseThreads(app.database, parents, reader)
  const rows = threads.map(({ parent, latest_nid }) => ({ parent, event_nid: latest_nid }))
  const latest = new Map((await visibleChildren(app, rows, reader.userId)).map(({ parent, child }) => [parent, child]))
  for (const { parent, count, participated } of threads) {
    const event = latest.get(parent)
    if (event) add(reader, parent, { thread: { latest: event, count, participated } })
  }
}

async function bundleReferences(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  parents: readonly RelationParent[],
  reader: Reader,
): Promise<void> {
  if (parents.length === 0) return
  const rows = await findReferences(app.database, parents, reader.ignored)
  for (const { parent, child } of await visibleChildren(app, rows, reader.userId)) {
    add(reader, parent, { references: [...(reader.bundles.get(parent)?.references ?? []), child.event_id] })
  }
}

function add(reader: Reader, parent: EventId, part: Bundle): void {
  reader.bundles.set(parent, { ...reader.bundles.get(parent), ...part })
}

async function visibleChildren(
  app: Pick<App, 'config' | 'database' | 'clock'>,
  rows: readonly { parent: EventId; event_nid: number }[],
  userId: UserId,
): Promise<{ parent: EventId; child: StoredEvent }[]> {
  const nids = rows.map((row) => row.event_nid)
  const events = await loadEventsWithin(app.database, nids, MOST_BYTES)
  const visible = new Set(await visibleEvents(app, userId, [...events.values()]))
  return rows.flatMap(({ parent, event_nid }) => {
    const child = events.get(event_nid)
    return child && visible.has(child) ? { parent, child } : []
  })
}

/** As `editedEvent`; an invalid relation is left out. */
function originalEvent(event: StoredEvent, isRelated: boolean): EditedEvent {
  const { 'm.relates_to': _relation, ...content } = event.pdu.content
  return { ...editedEvent(event), ...(!isRelated && { content }) }
}

function editedEvent({ event_id, room_id, pdu }: StoredEvent): EditedEvent {
  return { event_id, room_id, type: pdu.type, sender: pdu.sender, state_key: pdu.state_key, content: pdu.content }
}
