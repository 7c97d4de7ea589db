import { destinationEndpoints } from './admin/federation/destinations.ts'
import { masEndpoints } from './admin/mas/mas-endpoints.ts'
import { mediaModerationEndpoints } from './admin/media/media-moderation.ts'
import { postMediaMove } from './admin/media/media-move.ts'
import { mediaRecordEndpoints } from './admin/media/media-records.ts'
import { mediaRuleEndpoints } from './admin/media/media-rules.ts'
import { roomDeletionEndpoints } from './admin/rooms/delete-room.ts'
import { getExpired } from './admin/rooms/expired.ts'
import { historyPurgeEndpoints } from './admin/rooms/purge-history.ts'
import { getRefusedEvents } from './admin/rooms/refused-events.ts'
import { roomActEndpoints } from './admin/rooms/room-acts.ts'
import { roomBlockEndpoints } from './admin/rooms/room-block.ts'
import { roomListEndpoints } from './admin/rooms/room-lists.ts'
import { administeredRoomEndpoints } from './admin/rooms/room-reading.ts'
import { stateCheckEndpoints } from './admin/rooms/state-check.ts'
import { getAuditLog } from './admin/server/audit-log.ts'
import { postDatabaseCopy } from './admin/server/database-copy.ts'
import { figureEndpoints } from './admin/server/figures.ts'
import { handledReportEndpoints } from './admin/server/handle-reports.ts'
import { serverFactEndpoints } from './admin/server/server-facts.ts'
import { postServerNotice, putServerNotice } from './admin/server/server-notices.ts'
import { signingKeyEndpoints } from './admin/server/signing-keys.ts'
import { accountActEndpoints } from './admin/users/account-acts.ts'
import { postAccountValidity } from './admin/users/account-validity.ts'
import { getUserExport } from './admin/users/export-user.ts'
import { personalTokenEndpoints } from './admin/users/personal-tokens.ts'
import { userRedactionEndpoints } from './admin/users/redact-user.ts'
import { getAdminRegister, postAdminRegister } from './admin/users/register.ts'
import { registrationTokenEndpoints } from './admin/users/registration-tokens.ts'
import { reportEndpoints } from './admin/users/reports.ts'
import { userRecordEndpoints } from './admin/users/user.ts'
import { userDeviceEndpoints } from './admin/users/user-devices.ts'
import { userFactEndpoints } from './admin/users/user-facts.ts'
import { userListEndpoints } from './admin/users/user-lists.ts'
import type { AnyEndpoint } from './http/route.ts'

/** The endpoints for administrators. */
export const adminEndpoints: readonly AnyEndpoint[] = [
  getAuditLog,
  ...roomListEndpoints,
  ...administeredRoomEndpoints,
  ...destinationEndpoints,
  ...signingKeyEndpoints,
  ...roomActEndpoints,
  ...stateCheckEndpoints,
  getRefusedEvents,
  ...roomBlockEndpoints,
  ...roomDeletionEndpoints,
  ...historyPurgeEndpoints,
  getExpired,
  getAdminRegister,
  postAdminRegister,
  postAccountValidity,
  ...userListEndpoints,
  ...userRedactionEndpoints,
  getUserExport,
  ...reportEndpoints,
  ...handledReportEndpoints,
  ...registrationTokenEndpoints,
  ...personalTokenEndpoints,
  ...serverFactEndpoints,
  ...figureEndpoints,
  ...userRecordEndpoints,
  ...accountActEndpoints,
  ...userDeviceEndpoints,
  ...userFactEndpoints,
  postServerNotice,
  putServerNotice,
  ...mediaModerationEndpoints,
  ...mediaRecordEndpoints,
  postMediaMove,
  postDatabaseCopy,
  ...mediaRuleEndpoints,
  ...masEndpoints,
]
