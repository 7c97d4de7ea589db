import { z } from 'zod'
import { InvalidParamError } from '../../../core/errors.ts'
import {
  changeKeyBackup,
  createKeyBackup,
  describeKeyBackup,
  removeKeyBackup,
} from '../../../services/devices/key-backups.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { storableObject } from './encryption-fields.ts'
import { backupVersion } from './key-backup-fields.ts'

const params = z.object({ version: backupVersion })
const backup = z.object({ algorithm: opaqueName, auth_data: storableObject })

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion */
export const postRoomKeysVersion = route({
  method: 'POST',
  path: v3('/room_keys/version'),
  auth: 'user',
  suspendedUsers: true,
  body: backup,
  async handle({ session, body: { algorithm, auth_data: authData } }, app) {
    return { version: await createKeyBackup(app, { userId: session.userId, algorithm, authData }) }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion */
export const getCurrentRoomKeysVersion = route({
  method: 'GET',
  path: v3('/room_keys/version'),
  auth: 'user',
  handle: ({ session }, app) => describeKeyBackup(app, { userId: session.userId, version: undefined }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion */
export const getRoomKeysVersion = route({
  method: 'GET',
  path: v3('/room_keys/version/:version'),
  auth: 'user',
  params,
  handle: ({ session, params }, app) => describeKeyBackup(app, { userId: session.userId, ...params }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion */
export const putRoomKeysVersion = route({
  method: 'PUT',
  path: v3('/room_keys/version/:version'),
  auth: 'user',
  suspendedUsers: true,
  params,
  body: backup.extend({ version: z.string().optional() }),
  async handle({ session, params, body: { version, algorithm, auth_data: authData } }, app) {
    if (version !== undefined && version !== String(params.version)) {
      throw new InvalidParamError('version: is not the one in the path')
    }
    await changeKeyBackup(app, { userId: session.userId, ...params }, { algorithm, authData })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion */
export const deleteRoomKeysVersion = route({
  method: 'DELETE',
  path: v3('/room_keys/version/:version'),
  auth: 'user',
  suspendedUsers: true,
  params,
  async handle({ session, params }, app) {
    await removeKeyBackup(app, { userId: session.userId, ...params })
    return {}
  },
})
