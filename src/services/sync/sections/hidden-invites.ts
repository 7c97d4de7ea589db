import type { RoomId, UserId } from '../../../core/ids.ts'
import { isUnwantedInviter } from '../../../core/rooms/invite-permission.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadOutOfBandMembers, type OutOfBandMember } from '../../../storage/rooms/membership/out-of-band-members.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { INVITE_PERMISSION_TYPES, loadInvitePermission } from '../../../storage/users/invite-permissions.ts'
import { type CacheSources, cacheLoads } from '../answers/cache-loads.ts'

const DECIDING: readonly (string | null)[] = ['m.ignored_user_list', ...INVITE_PERMISSION_TYPES]

/** Decides which invites a user does not see. */
export type InviteFilter = {
  /**
   * Returns the rooms in a user's lists that are there only because of an unwanted invite, or its end. Invites newer
   * than the stream position are not included: see `unwantedAmong`.
   */
  hiddenRooms(userId: UserId): Promise<ReadonlySet<RoomId>>
  /** Filters a user's own member events to unwanted invites and their ends. */
  unwantedAmong(userId: UserId, members: readonly StoredEvent[]): Promise<ReadonlySet<RoomId>>
  /** As `unwantedAmong`, by the nids of member events. */
  unwantedByNid(userId: UserId, nids: readonly number[]): Promise<ReadonlySet<RoomId>>
}

export function createInviteFilter(sources: CacheSources): InviteFilter {
  const { database } = sources
  const inviters = unwantedInviters(sources)

  async function filterUnwanted(userId: UserId, members: readonly OutOfBandMember[]): Promise<Set<RoomId>> {
    if (members.length === 0) return new Set()
    return filterHidden(database, userId, { members, isUnwanted: await inviters(userId) })
  }

  async function unwantedAmong(userId: UserId, members: readonly StoredEvent[]): Promise<ReadonlySet<RoomId>> {
    const outside = members.map(({ room_id, state_before, pdu }) => {
      return { room_id, state_before, sender: pdu.sender, membership: String(pdu.content.membership) }
    })
    return filterUnwanted(
      userId,
      outside.filter(({ membership }) => ['invite', 'leave', 'ban'].includes(membership)),
    )
  }

  return {
    hiddenRooms: cacheLoads(sources, {
      load: async (db, userId: UserId): Promise<ReadonlySet<RoomId>> =>
        filterUnwanted(userId, await loadOutOfBandMembers(db, userId)),
      placeOf: (userId) => userId,
      changedBy: ({ kind, user_id, room_id, detail }) => {
        const decides = kind === 'account_data' && room_id === null && DECIDING.includes(detail)
        return user_id !== null && (decides || kind === 'event' || kind === 'state') ? user_id : undefined
      },
    }),
    unwantedAmong,
    async unwantedByNid(userId, nids) {
      if (nids.length === 0) return new Set()
      return unwantedAmong(userId, [...(await loadEvents(database, nids)).values()])
    },
  }
}

/**
 * Returns which inviters are hidden from a user, including for earlier invites.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
function unwantedInviters(sources: CacheSources): (userId: UserId) => Promise<(sender: UserId) => boolean> {
  return cacheLoads(sources, {
    load: async (db, userId: UserId): Promise<(sender: UserId) => boolean> => {
      const [ignored, permission] = await Promise.all([loadIgnoredUsers(db, userId), loadInvitePermission(db, userId)])
      return (sender) => isUnwantedInviter({ userId, ignored, permission }, sender)
    },
    placeOf: (userId) => userId,
    changedBy: ({ kind, user_id, room_id, detail }) =>
      kind === 'account_data' && room_id === null && DECIDING.includes(detail) ? (user_id ?? undefined) : undefined,
  })
}

/** A removal from a joined room is always shown, regardless of the sender. */
async function filterHidden(
  db: Db,
  userId: UserId,
  { members, isUnwanted }: { members: readonly OutOfBandMember[]; isUnwanted: (sender: UserId) => boolean },
): Promise<Set<RoomId>> {
  const unwanted = members.filter(({ sender }) => isUnwanted(sender))
  const ends = unwanted.filter(({ membership }) => membership !== 'invite')
  const before = await readEventsOfStates(
    db,
    ends.map(({ state_before }) => ({ root: state_before ?? 0, type: 'm.room.member', state_key: userId })),
  )
  const wasInside = new Set(ends.filter((_, place) => before[place]?.pdu.content.membership === 'join'))
  return new Set(unwanted.filter((member) => !wasInside.has(member)).map(({ room_id }) => room_id))
}
