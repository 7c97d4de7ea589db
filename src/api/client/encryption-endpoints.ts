import type { AnyEndpoint } from '../http/route.ts'
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
} from './devices/backed-up-keys.ts'
import { postKeysClaim } from './devices/claim-keys.ts'
import {
  deleteOwnDehydratedDevice,
  getDehydratedDeviceEvents,
  getOwnDehydratedDevice,
  postDehydratedDeviceEvents,
  putDehydratedDevice,
} from './devices/dehydrated-device.ts'
import {
  deleteRoomKeysVersion,
  getCurrentRoomKeysVersion,
  getRoomKeysVersion,
  postRoomKeysVersion,
  putRoomKeysVersion,
} from './devices/key-backups.ts'
import { getKeysChanges } from './devices/key-changes.ts'
import { postKeysQuery } from './devices/query-keys.ts'
import { putSendToDevice } from './devices/send-to-device.ts'
import { postDeviceSigningUpload } from './devices/upload-cross-signing-keys.ts'
import { postKeysUpload } from './devices/upload-keys.ts'
import { postSignaturesUpload } from './devices/upload-signatures.ts'

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
