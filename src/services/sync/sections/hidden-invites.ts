import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { isUnwantedInviter } from '../../../core/rooms/invite-permission.ts'
import { loadOutOfBandMembers, type OutOfBandMember } from '../../../storage/rooms/membership/outside-members.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { loadIgnoredUsers } from '../../../storage/users/ignored-users.ts'
import { INVITE_PERMISSION_TYPES, loadInvitePermission } from '../../../storage/users/invite-permissions.ts'
import { remembered } from './remembered.ts'

type Reading = Pick<App, 'database' | 'stream'>

const DECIDING: readonly (string | null)[] = ['m.ignored_user_list', ...INVITE_PERMISSION_TYPES]

/**
 * Returns which inviters are hidden from a user, including for earlier invites.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
const unwantedInviters = remembered({
  load: async (app, userId: UserId): Promise<(sender: UserId) => boolean> => {
    const [ignored, permission] = await Promise.all([
      loadIgnoredUsers(app.database, userId),
      loadInvitePermission(app.database, userId),
    ])
    return (sender) => isUnwantedInviter({ userId, ignored, permission }, sender)
  },
  placeOf: (userId) => userId,
  changedBy: ({ kind, user_id, room_id, detail }) =>
    kind === 'account_data' && room_id === null && DECIDING.includes(detail) ? (user_id ?? undefined) : undefined,
})

/**
 * Returns the rooms in a user's lists that are there only because of an unwanted invite, or its end. Invites newer than
 * the stream position are not included: see `unwantedAmong`.
 */
export const hiddenInvites = remembered({
  load: async (app, userId: UserId): Promise<ReadonlySet<RoomId>> =>
    filterHidden(app, userId, await loadOutOfBandMembers(app.database, userId)),
  placeOf: (userId) => userId,
  changedBy: ({ kind, user_id, room_id, detail }) => {
    const decides = kind === 'account_data' && room_id === null && DECIDING.includes(detail)
    return user_id !== null && (decides || kind === 'event' || kind === 'state') ? user_id : undefined
  },
})

/** Filters a user's own member events to unwanted invites and their ends. */
export async function unwantedAmong(
  app: Reading,
  userId: UserId,
  members: readonly StoredEvent[],
): Promise<ReadonlySet<RoomId>> {
  const outside = members.map(({ room_id, state_before, pdu }) => {
    return { room_id, state_before, sender: pdu.sender, membership: String(pdu.content.membership) }
  })
  return filterHidden(
    app,
    userId,
    outside.filter(({ membership }) => ['invite', 'leave', 'ban'].includes(membership)),
  )
}

/** As `unwantedAmong`, by the nids of member events. */
export async function unwantedByNid(
  app: Reading,
  userId: UserId,
  nids: readonly number[],
): Promise<ReadonlySet<RoomId>> {
  if (nids.length === 0) return new Set()
  return unwantedAmong(app, userId, [...(await loadEvents(app.database, nids)).values()])
}

/** A removal from a joined room is always shown, regardless of the sender. */
async function filterHidden(app: Reading, userId: UserId, members: readonly OutOfBandMember[]): Promise<Set<RoomId>> {
  if (members.length === 0) return new Set()
  const isUnwanted = await unwantedInviters(app, userId)
  const unwanted = members.filter(({ sender }) => isUnwanted(sender))
  const ends = unwanted.filter(({ membership }) => membership !== 'invite')
  const before = await readEventsOfStates(
    app.database,
    ends.map(({ state_before }) => ({ root: state_before ?? 0, type: 'm.room.member', state_key: userId })),
  )
  const wasInside = new Set(ends.filter((_, place) => before[place]?.pdu.content.membership === 'join'))
  return new Set(unwanted.filter((member) => !wasInside.has(member)).map(({ room_id }) => room_id))
}
