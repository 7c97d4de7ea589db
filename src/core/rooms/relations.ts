import { type EventId, isEventId, isStorableName } from '../ids.ts'
import type { Json, JsonObject } from '../pdu.ts'

/** The relation of an event to its parent. */
export type Relation = {
  rel_type: string
  event_id: EventId
  /** The key of an annotation. */
  key?: string
}

/**
 * Returns the relation in an event's content:
 * https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events. Undefined if there is none or
 * it is malformed. A reply is not a relation: see `repliedTo`.
 */
export function relationOf(content: JsonObject): Relation | undefined {
  const relatesTo = objectAt(content, 'm.relates_to')
  const rel_type = property(relatesTo, 'rel_type')
  const event_id = eventIdAt(relatesTo)
  const key = property(relatesTo, 'key')
  if (typeof rel_type !== 'string' || rel_type === '' || !isStorableName(rel_type) || !event_id) return undefined
  return { rel_type, event_id, ...(typeof key === 'string' && { key }) }
}

/**
 * Returns the event that this one replies to, also within a thread. Undefined for the fallback of a thread, which only
 * looks like a reply. https://spec.matrix.org/v1.19/client-server-api/#rich-replies
 */
export function repliedTo(content: JsonObject): EventId | undefined {
  const relatesTo = objectAt(content, 'm.relates_to')
  const isFallback = property(relatesTo, 'rel_type') === 'm.thread' && property(relatesTo, 'is_falling_back') === true
  return isFallback ? undefined : eventIdAt(objectAt(relatesTo, 'm.in_reply_to'))
}

/** The fields that decide whether an edit is valid. */
export type EditedEvent = {
  event_id: string
  room_id: string
  type: string
  sender: string
  state_key?: string | undefined
  content: JsonObject
}

/**
 * Whether an event is a valid edit of the original:
 * https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events. Clients check the new content of
 * encrypted events.
 */
export function isValidEdit(original: EditedEvent, edit: EditedEvent): boolean {
  const relation = relationOf(edit.content)
  return (
    relation?.rel_type === 'm.replace' &&
    relation.event_id === original.event_id &&
    edit.room_id === original.room_id &&
    edit.sender === original.sender &&
    edit.type === original.type &&
    edit.state_key === undefined &&
    original.state_key === undefined &&
    relationOf(original.content)?.rel_type !== 'm.replace' &&
    (edit.type === 'm.room.encrypted' || objectAt(edit.content, 'm.new_content') !== undefined)
  )
}

function eventIdAt(object: JsonObject | undefined): EventId | undefined {
  const id = property(object, 'event_id')
  return typeof id === 'string' && isEventId(id) ? id : undefined
}

function objectAt(object: JsonObject | undefined, name: string): JsonObject | undefined {
  const value = property(object, name)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
}

function property(object: JsonObject | undefined, name: string): Json | undefined {
  return object && Object.hasOwn(object, name) ? object[name] : undefined
}
