import type { App } from '../../../app.ts'
import { type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Event, JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { fitStrippedState } from '../../../core/rooms/stripped-state.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { storableName } from '../../../storage/engine/storable-text.ts'
import { appendToStream } from '../../../storage/engine/stream-append.ts'
import { storeMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { storeStrippedState } from '../../../storage/rooms/membership/stripped-states.ts'
import { addRoomContact, removeRoomContacts } from '../../../storage/rooms/room-contacts.ts'
import { storeOutOfBandRoom } from '../../../storage/rooms/room-lists.ts'
import { addRoomCounts } from '../../../storage/rooms/room-summary.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import { storeOutliers } from '../../../storage/rooms/timeline/outliers.ts'
import { storeOutOfBandVersion } from '../../../storage/rooms/timeline/room-versions.ts'
import { requireNotRemoved } from '../../rooms/timeline/blocked-room.ts'

/** The known data of a room that this server is not in. */
export type OutOfBandRoom = {
  version: RoomVersion
  /** Its stripped state: https://spec.matrix.org/v1.19/client-server-api/#stripped-state */
  strippedState?: readonly JsonObject[]
  /** A server in the room. */
  contact?: ServerName
}

/**
 * Stores an out-of-band membership: the member event of a local user in a room that this server is not in (an invite, a
 * knock, and what ends them). It becomes the user's membership, and appears in /sync. The caller has verified the
 * event. Throws M_FORBIDDEN while the room is being deleted.
 */
export async function storeOutOfBandMember(
  app: Pick<App, 'config' | 'database' | 'logger' | 'takeNids'>,
  event: Event,
  room: OutOfBandRoom,
): Promise<void> {
  const strippedState =
    room.strippedState && fitStrippedState(room.strippedState, app.config.limits.sizes.stripped_state)
  const dropped = (room.strippedState?.length ?? 0) - (strippedState?.length ?? 0)
  if (dropped > 0)
    app.logger.warn(
      { room_id: event.room_id, server: room.contact, dropped },
      'stripped state too large, events dropped',
    )
  await app.database.write(async (tx) => {
    await requireNotRemoved(tx, event.room_id)
    const stored = await storeOutliers(tx, app.takeNids, [event])
    const { event_nid: nid } = stored.get(event.event_id)!
    await storeOutOfBandVersion(tx, event.room_id, room.version)
    await becomeCurrent(tx, nid, room.contact)
    if (strippedState) await storeRoomState(tx, nid, { event, strippedState })
  })
}

async function storeRoomState(
  tx: Tx,
  nid: number,
  { event, strippedState }: { event: Event; strippedState: readonly JsonObject[] },
): Promise<void> {
  await storeStrippedState(tx, nid, strippedState)
  const contentOf = (type: string) => strippedState.find((one) => one.type === type && one.state_key === '')?.content
  const type = (contentOf('m.room.create') as JsonObject | undefined)?.type
  await storeOutOfBandRoom(tx, {
    roomId: event.room_id,
    userId: event.pdu.state_key as UserId,
    type: typeof type === 'string' ? storableName(type) : null,
    isEncrypted: contentOf('m.room.encryption') !== undefined,
  })
}

async function becomeCurrent(tx: Tx, nid: number, contact: ServerName | undefined): Promise<void> {
  const event = (await loadEvents(tx, [nid])).get(nid)!
  const { room_id: roomId, pdu } = event
  const userId = pdu.state_key as UserId
  const membership = String(pdu.content.membership)
  await addRoomCounts(
    tx,
    await storeMemberships(tx, serverNameOf(userId), [{ room_id: roomId, state_key: userId, event }]),
  )
  if (membership === 'leave' || membership === 'ban') await removeRoomContacts(tx, roomId, userId)
  else if (contact !== undefined) await addRoomContact(tx, { roomId, userId, serverName: contact })
  appendToStream(tx, { kind: 'event', room_id: roomId, user_id: userId, ref: nid, detail: membership })
}
