import type { App } from '../../../app.ts'
import { isRoomId, type RoomId, type UserId } from '../../../core/ids.ts'
import { loadJoinedAmong } from '../../../storage/rooms/membership/room-memberships.ts'
import type { RoomListFilter } from '../../../storage/rooms/room-lists.ts'
import { loadSummarisedRooms } from '../../../storage/rooms/summarised-rooms.ts'
import { readStateOfType } from '../../../storage/rooms/timeline/room-state.ts'
import { stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'
import { loadAccountDataOfType } from '../../../storage/users/account-data.ts'
import type { SlidingFilter } from './sliding-request.ts'

type Reading = Pick<App, 'config' | 'database'>

/**
 * Converts a filter into conditions on the table of rooms, without `hidden` rooms: direct chats, tags and spaces become
 * sets of rooms.
 */
export async function listFilter(
  app: Reading,
  userId: UserId,
  { filter, direct, hidden }: { filter: SlidingFilter; direct: ReadonlySet<RoomId>; hidden: ReadonlySet<RoomId> },
): Promise<RoomListFilter> {
  const only: ReadonlySet<RoomId>[] = []
  const except: ReadonlySet<RoomId>[] = hidden.size > 0 ? [hidden] : []
  if (filter.isDm !== undefined) (filter.isDm ? only : except).push(direct)
  if (filter.tags) only.push(await taggedRooms(app, userId, filter.tags))
  if (filter.notTags) except.push(await taggedRooms(app, userId, filter.notTags))
  if (filter.spaces) only.push(await childRooms(app, userId, filter.spaces))
  return {
    isInvite: filter.isInvite,
    isEncrypted: filter.isEncrypted,
    types: filter.roomTypes,
    notTypes: filter.notRoomTypes,
    name: filter.name,
    only: only.length > 0 ? [...only[0]!].filter((room) => only.every((rooms) => rooms.has(room))) : undefined,
    except: except.length > 0 ? except.flatMap((rooms) => [...rooms]) : undefined,
  }
}

async function taggedRooms(app: Reading, userId: UserId, tags: readonly string[]): Promise<ReadonlySet<RoomId>> {
  const rows = await loadAccountDataOfType(app.database, userId, 'm.tag')
  const tagged = rows.filter(({ content }) => {
    const { tags: ofRoom } = JSON.parse(content)
    return typeof ofRoom === 'object' && ofRoom !== null && tags.some((tag) => Object.hasOwn(ofRoom, tag))
  })
  return new Set(tagged.map(({ room_id }) => room_id as RoomId))
}

/** https://spec.matrix.org/v1.19/client-server-api/#mspacechild: a child without servers is invalid. */
async function childRooms(app: Reading, userId: UserId, spaces: readonly string[]): Promise<ReadonlySet<RoomId>> {
  const joined = await loadJoinedAmong(app.database, userId, spaces as readonly RoomId[])
  const heads = await loadSummarisedRooms(app.database, joined)
  const wanted = { type: 'm.space.child', budget: stateBudget(app.config.limits.answers.room_state) }
  const states = await Promise.all(heads.map(({ state_root }) => readStateOfType(app.database, state_root, wanted)))
  const children = states.flat().filter(({ pdu }) => Array.isArray(pdu.content.via))
  return new Set(children.map(({ pdu }) => pdu.state_key!).filter(isRoomId))
}
