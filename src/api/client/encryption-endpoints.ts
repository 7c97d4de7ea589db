import type { AnyEndpoint } from '../http/route.ts'
import { postDeviceSigningUpload } from './devices/cross-signing.ts'
import {
  deleteOwnDehydratedDevice,
  getDehydratedDeviceEvents,
  getOwnDehydratedDevice,
  postDehydratedDeviceEvents,
  putDehydratedDevice,
} from './devices/dehydrated-device.ts'
import { getKeysChanges } from './devices/keys-changes.ts'
import { postKeysClaim } from './devices/keys-claim.ts'
import { postKeysQuery } from './devices/keys-query.ts'
import { postKeysUpload } from './devices/keys-upload.ts'
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
} from './devices/room-keys.ts'
import {
  deleteRoomKeysVersion,
  getCurrentRoomKeysVersion,
  getRoomKeysVersion,
  postRoomKeysVersion,
  putRoomKeysVersion,
} from './devices/room-keys-version.ts'
import { putSendToDevice } from './devices/send-to-device.ts'
import { postSignaturesUpload } from './devices/signatures-upload.ts'

/** End-to-end encryption: keys, cross-signing, to-device messages, key backup. */
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
