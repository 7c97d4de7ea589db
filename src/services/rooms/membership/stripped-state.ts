import type { App } from '../../../app.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { fitMember, fitStrippedState } from '../../../core/rooms/stripped-state.ts'
import { findToldState } from '../../../storage/rooms/membership/told-states.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { readRoomIdentity } from '../directory/room-identity.ts'

/** Room for what is needed of a room, whatever else an answer has. */
const LEAST_BYTES = 4096

/**
 * What those who are invited to a room, or knock at it, see of it: by the nid of their member event. Undefined when
 * that event is gone. `rooms`: of how many rooms the answer tells that; the more they are the less it tells of large
 * ones.
 */
export async function strippedState(
  app: Pick<App, 'config' | 'database'>,
  memberNid: number,
  { rooms }: { rooms: number },
): Promise<JsonObject[] | undefined> {
  const member = (await loadEvents(app.database, [memberNid])).get(memberNid)
  if (!member) return undefined
  const { sizes, answers } = app.config.limits
  const most = Math.max(LEAST_BYTES, Math.min(sizes.stripped_state, Math.floor(answers.stripped_state / rooms)))
  return [...fitStrippedState(await stateAround(app, member), most), fitMember(stripped(member.pdu), most)]
}

async function stateAround(app: Pick<App, 'database'>, member: StoredEvent): Promise<JsonObject[]> {
  if (member.state_before === null) return (await findToldState(app.database, member.event_nid)) ?? []
  const { sender, state_key: target } = member.pdu
  const inviter = sender === target ? undefined : sender
  const state = await readRoomIdentity(app.database, { root: member.state_before, inviter })
  return state.map((event) => stripped(event.pdu))
}

/** The time of `m.room.create` comes along, as MSC4311 has it. */
function stripped(event: {
  type: string
  state_key?: string
  sender: string
  content: JsonObject
  origin_server_ts?: Json
}): JsonObject {
  const { type, state_key = '', sender, content, origin_server_ts: time } = event
  const isTimed = type === 'm.room.create' && typeof time === 'number'
  return { type, state_key, sender, content, ...(isTimed && { origin_server_ts: time }) }
}
