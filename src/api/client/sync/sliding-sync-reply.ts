import type { ProfileNews } from '../../../services/sync/sections/sync-profiles.ts'
import type { ExtensionResults } from '../../../services/sync/sliding/sliding-extensions.ts'
import type { SlidingRoom } from '../../../services/sync/sliding/sliding-rooms.ts'
import type { SlidingReply } from '../../../services/sync/sliding/sliding-sync.ts'
import { threadSubscriptionToken } from '../rooms/thread-subscriptions.ts'
import { PROFILES, STICKY_EVENTS, THREAD_SUBSCRIPTIONS } from './sliding-sync-fields.ts'

type Room = SlidingRoom & { lists: readonly string[] }

/** Returns a response in the deployed form (`org.matrix.simplified_msc3575`). */
export function unstableReply(reply: SlidingReply): object {
  return replyOf(reply, (room) => ({
    ...commonFields(room),
    ...(room.isExpanded && { unstable_expanded_timeline: true }),
    ...(room.stripped && { invite_state: room.stripped }),
    ...room.unread,
  }))
}

/**
 * Returns a response in the form of the merged proposal:
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
 */
export function stableReply(reply: SlidingReply): object {
  return replyOf(reply, (room) => {
    const deleted = room.deletedState
    const required = [...room.requiredState, ...deleted]
    return {
      ...commonFields(room),
      membership: room.membership,
      ...(room.lists.length > 0 && { lists: room.lists }),
      ...(room.isExpanded && { expanded_timeline: true }),
      ...(room.stripped && { stripped_state: room.stripped }),
      ...(required.length > 0 && { required_state: required }),
    }
  })
}

function replyOf({ pos, counts, rooms, extensions }: SlidingReply, roomOf: (room: Room) => object): object {
  return {
    pos,
    ...(counts.size > 0 && { lists: Object.fromEntries([...counts].map(([name, count]) => [name, { count }])) }),
    rooms: Object.fromEntries([...rooms].map(([roomId, room]) => [roomId, roomOf(room)])),
    extensions: extensionsOf(extensions),
  }
}

function commonFields({ timeline, ...room }: Room): object {
  return {
    ...(room.isInitial && { initial: true }),
    ...(room.name !== undefined && { name: room.name }),
    ...(room.avatar !== undefined && { avatar: room.avatar }),
    ...(room.heroes && { heroes: room.heroes.map(heroOf) }),
    ...(room.isDirect !== undefined && { is_dm: room.isDirect }),
    ...(room.requiredState.length > 0 && { required_state: room.requiredState }),
    ...(timeline && {
      timeline: timeline.events,
      prev_batch: timeline.prevBatch,
      limited: timeline.limited,
      num_live: timeline.numLive,
    }),
    ...(room.bumpStamp !== undefined && { bump_stamp: room.bumpStamp }),
    ...(room.joinedCount !== undefined && { joined_count: room.joinedCount }),
    ...(room.invitedCount !== undefined && { invited_count: room.invitedCount }),
  }
}

function heroOf({ user_id, displayname, avatar_url }: NonNullable<SlidingRoom['heroes']>[number]): object {
  return { user_id, ...(displayname !== null && { displayname }), ...(avatar_url !== null && { avatar_url }) }
}

function extensionsOf(results: ExtensionResults): object {
  const { toDevice, e2ee, accountData, receipts, typing, threads, sticky, profiles } = results
  return {
    ...(toDevice && { to_device: toDevice }),
    ...(e2ee && { e2ee }),
    ...(accountData && {
      account_data: { global: accountData.global, rooms: Object.fromEntries(accountData.rooms) },
    }),
    ...(receipts && { receipts: { rooms: Object.fromEntries(receipts) } }),
    ...(typing && { typing: { rooms: Object.fromEntries(typing) } }),
    ...(sticky && {
      [STICKY_EVENTS]: {
        next_batch: sticky.next_batch,
        ...(sticky.rooms.size > 0 && {
          rooms: Object.fromEntries([...sticky.rooms].map(([roomId, events]) => [roomId, { events }])),
        }),
      },
    }),
    ...(profiles && {
      [PROFILES]: { users: Object.fromEntries([...profiles].map(([user, news]) => [user, news && profileOf(news)])) },
    }),
    ...(threads && {
      [THREAD_SUBSCRIPTIONS]: {
        ...threads.changes,
        ...(threads.rest !== undefined && { prev_batch: threadSubscriptionToken(threads.rest) }),
      },
    }),
  }
}

function profileOf({ updated, removed }: ProfileNews): object {
  return { ...(Object.keys(updated).length > 0 && { updated }), ...(removed.length > 0 && { removed }) }
}
