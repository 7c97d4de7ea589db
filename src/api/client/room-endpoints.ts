import type { AnyEndpoint } from '../http/route.ts'
import { deleteRoomAlias, getRoomAlias, getRoomAliases, putRoomAlias } from './rooms/aliases.ts'
import { postCreateRoom } from './rooms/create-room.ts'
import { getDirectoryVisibility, putDirectoryVisibility } from './rooms/directory.ts'
import { postInvite } from './rooms/invite-user.ts'
import { postJoin, postRoomJoin } from './rooms/join-room.ts'
import { getJoinedRooms } from './rooms/joined-rooms.ts'
import { postKnock } from './rooms/knock-room.ts'
import { postForget, postLeave } from './rooms/leave-room.ts'
import { postBan, postKick, postUnban } from './rooms/moderate-member.ts'
import { getMutualRooms, getUnstableMutualRooms } from './rooms/mutual-rooms.ts'
import { getPublicRooms, postPublicRooms } from './rooms/public-rooms.ts'
import { postRoomRedact, putRoomRedact } from './rooms/redact-event.ts'
import { postReportEvent, postReportRoom, postReportUser } from './rooms/reports.ts'
import { getRoomSummary, getUnstableRoomSummary } from './rooms/room-summary.ts'
import { postRoomSend, putRoomSend } from './rooms/send-event.ts'
import { putRoomState } from './rooms/send-state.ts'
import { getSpaceHierarchy } from './rooms/space-hierarchy.ts'
import { postUpgradeRoom } from './rooms/upgrade-room.ts'

/** Room creation, membership, sending and the directory. */
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
