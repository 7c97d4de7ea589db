import type { AnyEndpoint } from '../http/route.ts'
import { getFederationDownload, getFederationThumbnail } from './media.ts'
import { membershipEndpoints } from './membership-endpoints.ts'
import { getFederationPublicRooms, postFederationPublicRooms } from './public-rooms.ts'
import { getDirectoryQuery, getProfileQuery } from './query.ts'
import {
  getBackfill,
  getFederationEvent,
  getFederationEventAuth,
  getFederationState,
  getFederationStateIds,
  getFederationTimestampToEvent,
  postGetMissingEvents,
} from './read-room.ts'
import { putSend } from './receive-transaction.ts'
import { getKeyQuery, getServerKeys, postKeyQuery } from './server-keys.ts'
import { getFederationHierarchy } from './space-hierarchy.ts'
import { getUserDevices } from './user-devices.ts'
import { postUserKeysClaim, postUserKeysQuery } from './user-keys.ts'
import { getFederationVersion } from './version.ts'

/** The endpoints for other servers: https://spec.matrix.org/v1.19/server-server-api/ */
export const federationEndpoints: readonly AnyEndpoint[] = [
  getFederationVersion,
  getServerKeys,
  getKeyQuery,
  postKeyQuery,
  getProfileQuery,
  getDirectoryQuery,
  putSend,
  getFederationEvent,
  getFederationState,
  getFederationStateIds,
  getFederationEventAuth,
  postGetMissingEvents,
  getBackfill,
  getFederationTimestampToEvent,
  getUserDevices,
  ...membershipEndpoints,
  getFederationHierarchy,
  getFederationDownload,
  getFederationThumbnail,
  getFederationPublicRooms,
  postFederationPublicRooms,
  postUserKeysQuery,
  postUserKeysClaim,
]
