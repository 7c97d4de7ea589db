import type { App } from '../../app.ts'
import type { Event, Pdu } from '../../core/events/pdu.ts'
import type { EventId, RoomId, ServerName, UserId } from '../../core/ids.ts'
import { type EventText, loadChainTexts, loadEventTexts } from '../../storage/event-texts.ts'
import { loadRoomSummaries } from '../../storage/room-heroes.ts'
import { loadOtherServersWithout } from '../../storage/room-servers.ts'
import { readNidDiff, readStateEvents } from '../../storage/room-state.ts'
import type { StoredEvent } from '../../storage/stored-event.ts'

type Reading = Pick<App, 'database' | 'serverName'>

/** Events that are read and written at once. */
const CHUNK = 500
const FEW = 50
/** Characters of an answer that is read before it is needed; what is larger is read while it is sent. */
const MOST_KEPT = 4 * 1024 * 1024

/** What leads to an answer: whose join, after which state, permitted by which events. */
type AnsweredJoin = { roomId: RoomId; userId: UserId; root: number; authIds: readonly EventId[] }

/** Of an answer all but the event, for a join that follows the state at `root`. */
export type RoomPart = { root: number; text: string }

/**
 * The JSON that answers `send_join`, piece by piece, so that a huge room takes no more memory than a small one: the room's state before the join, the
 * events that permit all these, and the joiner's event. `omitMembers`: only the members who name the room, and no event twice. `ready`: what was read
 * beforehand, of use if the join follows that state.
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
 * Reads what will answer a join, while that is still to be stored, without the members; undefined where that is too much to be kept. The room may change
 * before the join gets its place. `most`: in characters.
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
  yield* list(stateTexts(app, join, omitMembers), (text) => {
    seen.add(text.event_id)
    for (const id of authIdsOf(text)) wanted.add(id)
  })
  yield '],"auth_chain":['
  if (omitMembers) for (const id of seen) wanted.delete(id)
  yield* list(chainTexts(app, wanted, omitMembers ? seen : new Set()))
  yield ']'
}

/** The items of a JSON list, a chunk of them at a time. */
export async function* list(
  chunks: AsyncIterable<EventText[]>,
  note: (text: EventText) => void = () => {},
  write = ({ json }: EventText) => json,
): AsyncGenerator<string> {
  let separator = ''
  for await (const texts of chunks) {
    if (texts.length === 0) continue
    for (const text of texts) note(text)
    yield separator + texts.map(write).join(',')
    separator = ','
  }
}

async function* stateTexts(app: Reading, join: AnsweredJoin, omitMembers: boolean): AsyncGenerator<EventText[]> {
  const { added } = await readNidDiff(app.database, { from: 0, to: join.root, part: omitMembers ? 'rest' : 'all' })
  yield* textsOf(app, omitMembers ? [...added, ...(await heroNids(app, join))] : added)
}

/** Events by nid, a chunk of them at a time. */
export async function* textsOf(app: Pick<App, 'database'>, nids: readonly number[]): AsyncGenerator<EventText[]> {
  for (let start = 0; start < nids.length; start += CHUNK) {
    yield await loadEventTexts(app.database, nids.slice(start, start + CHUNK))
  }
}

/** The members that clients name the room by, where it has no name. */
async function heroNids(app: Reading, { roomId, userId, root }: AnsweredJoin): Promise<number[]> {
  const summaries = await loadRoomSummaries(app.database, [roomId], userId)
  const keys = (summaries.get(roomId)?.heroes ?? []).map((user) => ({ type: 'm.room.member', state_key: user }))
  const members = await readStateEvents(app.database, root, keys)
  return members.flatMap((member) => member?.event_nid ?? [])
}

/** Events with all that their `auth_events` lead to, except those in `known`. */
export async function* chainTexts(
  app: Pick<App, 'database'>,
  first: ReadonlySet<EventId>,
  known: ReadonlySet<EventId>,
): AsyncGenerator<EventText[]> {
  const found = new Set<EventId>([...known, ...first])
  const sent = new Set<EventId>(known)
  let pending = [...first]
  while (pending.length > 0) {
    const chunk = pending.slice(0, CHUNK)
    // Where few are left they may cite one another in a long line, of which each link would be a question of its own.
    const limit = chunk.length > FEW ? chunk.length : CHUNK
    const texts = (await loadChainTexts(app.database, chunk, limit)).filter(({ event_id }) => !sent.has(event_id))
    for (const { event_id } of texts) {
      sent.add(event_id)
      found.add(event_id)
    }
    pending = pending.slice(CHUNK).filter((id) => !sent.has(id))
    for (const id of texts.flatMap(authIdsOf)) {
      if (found.has(id)) continue
      found.add(id)
      pending.push(id)
    }
    yield texts
  }
}

export function authIdsOf({ json }: EventText): EventId[] {
  const { auth_events } = JSON.parse(json) as Pdu
  return auth_events.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}
