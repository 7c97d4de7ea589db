import type { App } from '../../../app.ts'
import type { EventId, RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { jsonItems } from '../../../core/json/json-pieces.ts'
import type { Event } from '../../../core/pdu.ts'
import { loadOtherServersWithout } from '../../../storage/rooms/membership/room-servers.ts'
import { loadRoomSummaries } from '../../../storage/rooms/room-heroes.ts'
import type { EventText } from '../../../storage/rooms/timeline/event-texts.ts'
import { readNidDiff, readStateEvents } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { authIdsOf, chainTexts, textsOf } from './auth-chain-texts.ts'

type Reading = Pick<App, 'database' | 'serverName'>

/** Maximum characters of a response that is read ahead; a larger one is read while it is sent. */
const MOST_KEPT = 4 * 1024 * 1024

/** The parameters of a response: the join, the state before it, and its auth events. */
type AnsweredJoin = { roomId: RoomId; userId: UserId; root: number; authIds: readonly EventId[] }

/** The response without the event, for a join after the state group `root`. */
export type RoomPart = { root: number; text: string }

/**
 * Yields the JSON of a `send_join` response in pieces, so that a huge room takes no more memory than a small one: the
 * room's state before the join, the auth chain, and the join event. `omitMembers`: only the heroes of the room's name,
 * and no event twice. `ready`: a part read ahead, used if the join follows that state.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function* joinAnswer(
  app: Reading,
  join: StoredEvent,
  { omitMembers, ready }: { omitMembers: boolean; ready?: RoomPart | undefined },
): AsyncGenerator<string> {
  const root = join.state_before ?? 0
  if (ready?.root === root) yield ready.text
  else yield* roomPart(app, answeredJoin(join, root), omitMembers)
  yield `,"event":${JSON.stringify(join.pdu)}}`
}

/**
 * Reads the response to a join ahead, without the members, while the join is being stored; undefined if it is too
 * large. The room may change before the join is stored. `most`: in characters.
 */
export async function readRoomPart(
  app: Reading,
  root: number,
  join: Event,
  most = MOST_KEPT,
): Promise<RoomPart | undefined> {
  let text = ''
  for await (const piece of roomPart(app, answeredJoin(join, root), true)) {
    text += piece
    if (text.length > most) return undefined
  }
  return { root, text }
}

function answeredJoin({ room_id, pdu, auth_event_ids }: Event, root: number): AnsweredJoin {
  return { roomId: room_id as RoomId, userId: pdu.state_key as UserId, root, authIds: auth_event_ids }
}

async function* roomPart(app: Reading, join: AnsweredJoin, omitMembers: boolean): AsyncGenerator<string> {
  const others = await loadOtherServersWithout(app.database, join.roomId, join.userId)
  const servers: ServerName[] = [app.serverName, ...others]
  yield `{"origin":${JSON.stringify(app.serverName)},"members_omitted":${omitMembers},"servers_in_room":${JSON.stringify(servers)}`
  yield ',"state":['
  const seen = new Set<EventId>()
  const wanted = new Set<EventId>(join.authIds)
  yield* jsonItems(stateTexts(app, join, omitMembers), (text) => {
    seen.add(text.event_id)
    for (const id of authIdsOf(text)) wanted.add(id)
    return text.json
  })
  yield '],"auth_chain":['
  const chain = chainTexts(app, join.roomId, { starts: wanted, ...(omitMembers && { known: seen }) })
  yield* jsonItems(chain, ({ json }) => json)
  yield ']'
}

async function* stateTexts(app: Reading, join: AnsweredJoin, omitMembers: boolean): AsyncGenerator<EventText[]> {
  const { added } = await readNidDiff(app.database, { from: 0, to: join.root, part: omitMembers ? 'rest' : 'all' })
  yield* textsOf(app, omitMembers ? [...added, ...(await heroNids(app, join))] : added)
}

/** Returns the heroes, by whom clients name a room without a name. */
async function heroNids(app: Reading, { roomId, userId, root }: AnsweredJoin): Promise<number[]> {
  const summaries = await loadRoomSummaries(app.database, [roomId], userId)
  const keys = (summaries.get(roomId)?.heroes ?? []).map((user) => ({ type: 'm.room.member', state_key: user }))
  const members = await readStateEvents(app.database, root, keys)
  return members.flatMap((member) => member?.event_nid ?? [])
}
