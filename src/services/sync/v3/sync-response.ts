import type { RoomId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { AccountDataEvent } from '../sections/sync-account-data.ts'
import type { Ephemeral } from '../sections/sync-ephemeral.ts'
import type { SyncedRoom } from '../sections/sync-room.ts'
import type { SyncedUnread } from '../sections/sync-unread.ts'

/** The rooms of one sync, before formatting. */
export type SyncedRooms = {
  join: Map<RoomId, SyncedRoom>
  leave: Map<RoomId, SyncedRoom>
  invite: Map<RoomId, JsonObject[]>
  knock: Map<RoomId, JsonObject[]>
  ephemeral: Ephemeral
  accountData: Map<RoomId, AccountDataEvent[]>
  /** Of joined rooms. */
  unread: Map<RoomId, SyncedUnread>
}

/** Returns the response of /sync with its rooms and global account data; empty keys are left out, as in Synapse. */
export function syncResponse(
  rooms: SyncedRooms,
  global: readonly AccountDataEvent[],
  nextBatch: string,
): Record<string, unknown> {
  const join = Object.fromEntries([...rooms.join].map(([roomId, room]) => [roomId, withExtras(rooms, roomId, room)]))
  const sections = {
    join,
    leave: Object.fromEntries([...rooms.leave].map(([roomId, room]) => [roomId, withExtras(rooms, roomId, room)])),
    invite: Object.fromEntries([...rooms.invite].map(([roomId, events]) => [roomId, { invite_state: { events } }])),
    knock: Object.fromEntries([...rooms.knock].map(([roomId, events]) => [roomId, { knock_state: { events } }])),
  }
  const nonEmpty = Object.fromEntries(Object.entries(sections).filter(([, section]) => Object.keys(section).length > 0))
  return {
    next_batch: nextBatch,
    ...(global.length > 0 && { account_data: { events: global } }),
    ...(Object.keys(nonEmpty).length > 0 && { rooms: nonEmpty }),
  }
}

function withExtras(rooms: SyncedRooms, roomId: RoomId, room: SyncedRoom): object {
  return {
    ...room,
    ...rooms.unread.get(roomId),
    ephemeral: { events: rooms.ephemeral.get(roomId) ?? [] },
    account_data: { events: rooms.accountData.get(roomId) ?? [] },
  }
}
