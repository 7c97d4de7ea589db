import { domainOf, isUserId } from '../ids.ts'
import type { Event, Json } from '../pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../room-versions.ts'
import { ALLOWED, type AuthVerdict, refuse } from './verdict.ts'

/** Rule 1, `m.room.create`: https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules */
export function checkCreate(version: RoomVersion, event: Event): AuthVerdict {
  const { pdu, room_id: roomId, prev_event_ids: previous } = event
  const { content, sender } = pdu
  // 1.1
  if (previous.length > 0) return refuse('1.1', 'm.room.create has prev_events')
  // 1.2, which version 12 replaced
  if (version.roomIdIsCreateHash) {
    if (pdu.room_id !== undefined) return refuse('1.2', 'm.room.create has a room_id')
  } else if (domainOf(roomId) === undefined || domainOf(roomId) !== domainOf(sender)) {
    return refuse('1.2', 'The domain of the room id differs from that of the sender')
  }
  // 1.3
  if (content.room_version !== undefined && !isRoomVersion(content.room_version)) {
    return refuse('1.3', 'room_version is not recognised')
  }
  // v1–v10: 1.4
  if (!version.implicitCreator && content.creator === undefined) return refuse('1.4', 'The creator is missing')
  // v12: 1.4
  if (version.privilegedCreators && !areUserIds(content.additional_creators)) {
    return refuse('1.4', 'additional_creators is not an array of user ids')
  }
  return ALLOWED
}

function isRoomVersion(version: Json): boolean {
  return typeof version === 'string' && ROOM_VERSIONS.has(version)
}

function areUserIds(creators: Json | undefined): boolean {
  if (creators === undefined) return true
  return Array.isArray(creators) && creators.every((creator) => typeof creator === 'string' && isUserId(creator))
}
