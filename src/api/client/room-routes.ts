import type { AnyEndpoint } from '../http/route.ts'
import { deleteRoomAlias, getRoomAlias, getRoomAliases, putRoomAlias } from './aliases.ts'
import { postCreateRoom } from './create-room.ts'
import { getDirectoryVisibility, putDirectoryVisibility } from './directory.ts'
import { postInvite } from './invite.ts'
import { postJoin, postRoomJoin } from './join.ts'
import { getJoinedRooms } from './joined-rooms.ts'
import { postKnock } from './knock.ts'
import { postForget, postLeave } from './leave.ts'
import { postBan, postKick, postUnban } from './moderate-member.ts'
import { getMutualRooms, getUnstableMutualRooms } from './mutual-rooms.ts'
import { getPublicRooms, postPublicRooms } from './public-rooms.ts'
import { postRoomRedact, putRoomRedact } from './redact-event.ts'
import { postReportEvent, postReportRoom, postReportUser } from './reporting.ts'
import { getRoomSummary, getUnstableRoomSummary } from './room-summary.ts'
import { postRoomSend, putRoomSend } from './send-event.ts'
import { putRoomState } from './send-state.ts'
import { getSpaceHierarchy } from './space-hierarchy.ts'
import { postUpgradeRoom } from './upgrade-room.ts'

/** The life of a room: creation, members, sending, and how it is found. */
export const roomEndpoints: AnyEndpoint[] = [
  putRoomSend,
  postRoomSend,
  putRoomState,
  putRoomRedact,
  postRoomRedact,
  postCreateRoom,
  postJoin,
  postRoomJoin,
  postKnock,
  postInvite,
  postLeave,
  postForget,
  postKick,
  postBan,
  postUnban,
  getJoinedRooms,
  getRoomAlias,
  putRoomAlias,
  deleteRoomAlias,
  getRoomAliases,
  getDirectoryVisibility,
  putDirectoryVisibility,
  getPublicRooms,
  postPublicRooms,
  postUpgradeRoom,
  getRoomSummary,
  getUnstableRoomSummary,
  getSpaceHierarchy,
  postReportEvent,
  postReportRoom,
  postReportUser,
  getMutualRooms,
  getUnstableMutualRooms,
]
