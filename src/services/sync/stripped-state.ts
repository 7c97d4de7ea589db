import type { App } from '../../app.ts'
import type { Json, JsonObject } from '../../core/events/pdu.ts'
import { loadEvents } from '../../storage/events.ts'
import { readStateEvents } from '../../storage/room-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#stripped-state */
const STRIPPED_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

/** What those who are invited to a room, or knock at it, see of it: by the nid of their member event. Undefined when that event is gone. */
export async function strippedState(app: Pick<App, 'database'>, memberNid: number): Promise<JsonObject[] | undefined> {
  const member = (await loadEvents(app.database, [memberNid])).get(memberNid)
  if (!member) return undefined
  return [...(await stateAround(app, member)), stripped(member)]
}

async function stateAround(app: Pick<App, 'database'>, member: StoredEvent): Promise<JsonObject[]> {
  const received = member.pdu.unsigned?.invite_room_state ?? member.pdu.unsigned?.knock_room_state
  if (Array.isArray(received)) return received.flatMap((event) => (isJsonObject(event) ? pruned(event) : []))
  if (member.state_before === null) return []
  const keys = STRIPPED_TYPES.map((type) => ({ type, state_key: '' }))
  const sender = { type: 'm.room.member', state_key: member.pdu.sender }
  const state = await readStateEvents(
    app.database,
    member.state_before,
    sender.state_key === member.pdu.state_key ? keys : [...keys, sender],
  )
  return state.flatMap((event) => (event ? [stripped(event)] : []))
}

function stripped({ pdu }: StoredEvent): JsonObject {
  return { type: pdu.type, state_key: pdu.state_key ?? '', sender: pdu.sender, content: pdu.content }
}

/** Other servers may send anything; clients get what stripped state consists of. */
function pruned({ type, state_key, sender, content }: JsonObject): JsonObject[] {
  const isEvent = [type, state_key, sender].every((value) => typeof value === 'string') && isJsonObject(content ?? null)
  return isEvent ? [{ type: type!, state_key: state_key!, sender: sender!, content: content! }] : []
}

function isJsonObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
