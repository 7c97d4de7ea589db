import type { App } from '../../../app.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { fitMember, fitStrippedState } from '../../../core/rooms/stripped-state.ts'
import { findStrippedState } from '../../../storage/rooms/membership/stripped-states.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { readRoomIdentity } from '../directory/room-identity.ts'

/** Minimum bytes per room, whatever else a response contains. */
const LEAST_BYTES = 4096

/**
 * Loads the stripped state of invited and knocking users, by the nid of their member event. Returns undefined if that
 * event is gone. `rooms`: the number of rooms in the response, which divide its byte limit.
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
  if (member.state_before === null) return (await findStrippedState(app.database, member.event_nid)) ?? []
  const { sender, state_key: target } = member.pdu
  const inviter = sender === target ? undefined : sender
  const state = await readRoomIdentity(app.database, { root: member.state_before, inviter })
  return state.map((event) => stripped(event.pdu))
}

/** The timestamp of `m.room.create` is included, according to MSC4311. */
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
