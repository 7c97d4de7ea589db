import type { App } from '../../app.ts'
import { InvalidParamError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { requireCount, requireSize } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import {
  type BackupKey,
  deleteKeyBackup,
  findCurrentKeyBackup,
  findKeyBackup,
  insertKeyBackup,
  lockKeyBackup,
  measureKeyBackups,
  updateKeyBackup,
} from '../../storage/devices/key-backups.ts'

/** A version of a backup in the format of the client API. */
export type KeyBackup = { algorithm: string; auth_data: JsonObject; count: number; etag: string; version: string }

/**
 * Creates a new version and returns its number. Throws M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion
 */
export async function createKeyBackup(
  app: Pick<App, 'database' | 'config'>,
  { userId, algorithm, authData }: { userId: UserId; algorithm: string; authData: JsonObject },
): Promise<string> {
  const { limits } = app.config
  const authJson = JSON.stringify(authData)
  requireSize(limits, 'backup_auth_data', authJson)
  return app.database.write(async (tx) => {
    const version = await insertKeyBackup(tx, { userId, algorithm, authData: authJson })
    requireCount(limits, 'backup_versions', (await measureKeyBackups(tx, userId)).versions)
    return String(version)
  })
}

/**
 * Returns a version, by default the current one. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion
 */
export async function describeKeyBackup(
  app: Pick<App, 'database'>,
  { userId, version }: { userId: UserId; version: number | undefined },
): Promise<KeyBackup> {
  const backup =
    version === undefined
      ? await findCurrentKeyBackup(app.database, userId)
      : await findKeyBackup(app.database, { userId, version })
  if (!backup || backup.deleted) throw unknownBackup()
  return {
    algorithm: backup.algorithm,
    auth_data: JSON.parse(backup.auth_data),
    count: backup.key_count,
    etag: String(backup.etag),
    version: String(backup.version),
  }
}

/**
 * Replaces the `auth_data` of a version. Throws M_NOT_FOUND, and M_INVALID_PARAM for another algorithm, and
 * M_TOO_LARGE. https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion
 */
export async function changeKeyBackup(
  app: Pick<App, 'database' | 'config'>,
  key: BackupKey,
  { algorithm, authData }: { algorithm: string; authData: JsonObject },
): Promise<void> {
  const authJson = JSON.stringify(authData)
  requireSize(app.config.limits, 'backup_auth_data', authJson)
  await app.database.write(async (tx) => {
    const backup = await lockKeyBackup(tx, key)
    if (!backup || backup.deleted) throw unknownBackup()
    if (backup.algorithm !== algorithm) throw new InvalidParamError('algorithm: differs from that of the backup')
    await updateKeyBackup(tx, key, authJson)
  })
}

/**
 * Deletes a version with its keys. Deleting it again succeeds. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion
 */
export async function removeKeyBackup(app: Pick<App, 'database'>, key: BackupKey): Promise<void> {
  await app.database.write(async (tx) => {
    if (!(await lockKeyBackup(tx, key))) throw unknownBackup()
    await deleteKeyBackup(tx, key)
  })
}

/** Returns the 404 for an unknown version. */
export function unknownBackup(): NotFoundError {
  return new NotFoundError('Unknown backup version')
}
