import type { AnyEndpoint } from '../http/route.ts'
import { postDeviceSigningUpload } from './cross-signing.ts'
import {
  deleteOwnDehydratedDevice,
  getDehydratedDeviceEvents,
  getOwnDehydratedDevice,
  postDehydratedDeviceEvents,
  putDehydratedDevice,
} from './dehydrated-device.ts'
import { getKeysChanges } from './keys-changes.ts'
import { postKeysClaim } from './keys-claim.ts'
import { postKeysQuery } from './keys-query.ts'
import { postKeysUpload } from './keys-upload.ts'
import {
  deleteRoomKey,
  deleteRoomKeys,
  deleteRoomKeysOfRoom,
  getRoomKey,
  getRoomKeys,
  getRoomKeysOfRoom,
  putRoomKey,
  putRoomKeys,
  putRoomKeysOfRoom,
} from './room-keys.ts'
import {
  deleteRoomKeysVersion,
  getCurrentRoomKeysVersion,
  getRoomKeysVersion,
  postRoomKeysVersion,
  putRoomKeysVersion,
} from './room-keys-version.ts'
import { putSendToDevice } from './send-to-device.ts'
import { postSignaturesUpload } from './signatures-upload.ts'

/** End-to-end encryption: keys, cross-signing, messages to devices, key backup. */
export const encryptionEndpoints: AnyEndpoint[] = [
  postKeysUpload,
  postKeysQuery,
  postKeysClaim,
  getKeysChanges,
  postDeviceSigningUpload,
  postSignaturesUpload,
  putSendToDevice,
  postRoomKeysVersion,
  getCurrentRoomKeysVersion,
  getRoomKeysVersion,
  putRoomKeysVersion,
  deleteRoomKeysVersion,
  putRoomKeys,
  putRoomKeysOfRoom,
  putRoomKey,
  getRoomKeys,
  getRoomKeysOfRoom,
  getRoomKey,
  deleteRoomKeys,
  deleteRoomKeysOfRoom,
  deleteRoomKey,
  putDehydratedDevice,
  getOwnDehydratedDevice,
  deleteOwnDehydratedDevice,
  getDehydratedDeviceEvents,
  postDehydratedDeviceEvents,
]
