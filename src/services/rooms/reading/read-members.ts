import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { ClientEvent } from '../../../core/events/client-event.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { jsonAround, jsonItems } from '../../../core/json/json-pieces.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { findMembership, loadJoinedMembers } from '../../../storage/rooms/membership/room-memberships.ts'
import { readStateInPieces } from '../../../storage/rooms/timeline/room-state.ts'
import { findEventAtOrder, loadTimelinePage } from '../../../storage/rooms/timeline/timeline-pages.ts'
import type { RoomMembershipRow } from '../../../storage/schema/rooms.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { accessFullState, awaitFullState } from '../access/await-full-state.ts'
import type { RoomAccess } from '../access/room-access.ts'
import { type StateCommand, serveState } from './read-state.ts'
import { orderOfToken } from './room-points.ts'

export type MembersCommand = StateCommand & {
  /** A token of a point in time; default: now, or when the user left. */
  at?: string | undefined
  membership?: Membership | undefined
  notMembership?: Membership | undefined
}

/**
 * Yields the member events of a room in pages. Throws M_FORBIDDEN, and M_INVALID_PARAM for an unknown token.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
 */
export async function readMembers(
  app: Pick<App, 'config' | 'database' | 'clock' | 'stream' | 'stopping' | 'reading'>,
  command: MembersCommand,
): Promise<AsyncGenerator<ClientEvent[]>> {
  const access = await accessFullState(app, command.roomId, command.userId)
  const root = command.at === undefined ? access.stateRoot : await rootAt(app, access, command.at)
  return serveState(app, command, wantedOf(command, readStateInPieces(app.database, root, 'members')))
}

async function* wantedOf(
  { membership, notMembership }: MembersCommand,
  pieces: AsyncIterable<StoredEvent[]>,
): AsyncGenerator<StoredEvent[]> {
  const isWanted = (value: unknown) =>
    membership === undefined && notMembership === undefined
      ? true
      : (membership !== undefined && value === membership) || (notMembership !== undefined && value !== notMembership)
  for await (const members of pieces) yield members.filter(({ pdu }) => isWanted(pdu.content.membership))
}

/** Returns the state group at a token, no newer than the user may read. */
async function rootAt(app: Pick<App, 'database'>, access: RoomAccess, token: string): Promise<number> {
  const order = await orderOfToken(app, access.roomId, token)
  if (order >= access.lastOrder) return access.stateRoot
  const event = await findEventAtOrder(app.database, access.roomId, order)
  if (event && event.pdu.type !== 'm.room.create') return event.state_after ?? access.stateRoot
  // A complete timeline begins before the room has any member. There the first member is the useful answer.
  const page = {
    roomId: access.roomId,
    after: event?.event_order ?? -Number.MAX_SAFE_INTEGER,
    before: access.lastOrder + 1,
  }
  const [first, second] = await loadTimelinePage(app.database, { ...page, direction: 'forwards', limit: 2 })
  const founding = first?.pdu.type === 'm.room.create' ? second : first
  return founding?.state_after ?? access.stateRoot
}

/**
 * Yields the JSON of a room's joined members, in pieces, to a joined user. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members
 */
export async function readJoinedMembers(
  app: Pick<App, 'database' | 'stream' | 'stopping'>,
  roomId: RoomId,
  userId: UserId,
): Promise<AsyncGenerator<string>> {
  const own = await findMembership(app.database, roomId, userId)
  if (own?.membership !== 'join') throw new ForbiddenError(`You are not in the room ${roomId}`)
  await awaitFullState(app, roomId)
  return jsonAround('{"joined":{', jsonItems(loadJoinedMembers(app.database, roomId), memberJson), '}}')
}

/** Unset values are null: clients expect both keys. */
function memberJson({ user_id, displayname, avatar_url }: RoomMembershipRow): string {
  return `${JSON.stringify(user_id)}:${JSON.stringify({ display_name: displayname, avatar_url })}`
}
