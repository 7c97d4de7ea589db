import type { App } from '../../app.ts'
import { MatrixError, NotFoundError } from '../../core/errors.ts'
import type { RoomId } from '../../core/ids.ts'
import { jsonAround, jsonItems } from '../../core/json/json-pieces.ts'
import { requireCount, requireSize, requireTotal } from '../../core/limits.ts'
import type { JsonObject } from '../../core/pdu.ts'
import {
  type BackedUpSession,
  type BackupChange,
  deleteBackupSessions,
  loadBackupSessions,
  type SessionRange,
  storeBackupSessions,
} from '../../storage/devices/backed-up-keys.ts'
import {
  type BackupKey,
  findCurrentKeyBackup,
  findKeyBackup,
  lockKeyBackup,
  measureKeyBackups,
  noteBackupChange,
} from '../../storage/devices/key-backups.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { KeyBackupRow } from '../../storage/schema/devices.ts'
import { unknownBackup } from './key-backups.ts'

/** A session's key in the format of the client API. */
export type SessionKey = {
  first_message_index: number
  forwarded_count: number
  is_verified: boolean
  session_data: JsonObject
}

/** The key count and ETag of a backup after a change. */
export type BackupState = { count: number; etag: string }

/**
 * Stores keys in the current backup; of two keys for one session, the better one is kept. Throws M_NOT_FOUND,
 * M_TOO_LARGE, and M_WRONG_ROOM_KEYS_VERSION with `current_version` for a backup that is not the current one.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys
 */
export async function backUpKeys(
  app: Pick<App, 'database' | 'config'>,
  key: BackupKey,
  sessions: readonly (SessionKey & { room_id: RoomId; session_id: string })[],
): Promise<BackupState> {
  const rows: BackedUpSession[] = sessions.map((session) => ({
    ...session,
    session_data: JSON.stringify(session.session_data),
  }))
  const { limits } = app.config
  for (const { session_data } of rows) requireSize(limits, 'backup_key', session_data)
  return changeKeys(app, key, async (tx) => {
    await requireCurrent(tx, key)
    const change = await storeBackupSessions(tx, key, rows)
    if (change.bytes > 0) {
      const all = await measureKeyBackups(tx, key.userId)
      requireCount(limits, 'backup_keys', all.keys + change.keys)
      requireTotal(limits, 'key_backups', all.bytes + change.bytes)
    }
    return change
  })
}

/**
 * Removes keys: all, a room's, or one session's. Throws M_NOT_FOUND for an unknown backup.
 * https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys
 */
export async function deleteBackedUpKeys(
  app: Pick<App, 'database'>,
  key: BackupKey,
  range: SessionRange,
): Promise<BackupState> {
  return changeKeys(app, key, (tx) => deleteBackupSessions(tx, key, range))
}

/**
 * Returns the JSON of a backup's keys by room and session, in pieces; those of one room by session. Throws M_NOT_FOUND
 * for an unknown backup.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeys
 */
export async function readBackedUpKeys(
  app: Pick<App, 'database'>,
  key: BackupKey,
  roomId?: RoomId,
): Promise<AsyncGenerator<string>> {
  await requireBackup(app, key)
  const pages = loadBackupSessions(app.database, key, { roomId })
  return roomId === undefined
    ? jsonAround('{"rooms":{', roomsOf(pages), '}}')
    : jsonAround('{"sessions":{', jsonItems(pages, sessionJson), '}}')
}

async function requireBackup(app: Pick<App, 'database'>, key: BackupKey): Promise<void> {
  const backup = await findKeyBackup(app.database, key)
  if (!backup || backup.deleted) throw unknownBackup()
}

/** The pages are ordered by room. */
async function* roomsOf(pages: AsyncIterable<readonly BackedUpSession[]>): AsyncGenerator<string> {
  let current: RoomId | undefined
  for await (const page of pages) {
    yield page
      .map((session) => {
        const isFirst = session.room_id !== current
        const before = `${current === undefined ? '' : '}},'}${JSON.stringify(session.room_id)}:{"sessions":{`
        current = session.room_id
        return `${isFirst ? before : ','}${sessionJson(session)}`
      })
      .join('')
  }
  if (current !== undefined) yield '}}'
}

function sessionJson({ session_id, session_data, first_message_index, forwarded_count, is_verified }: BackedUpSession) {
  const facts = JSON.stringify({ first_message_index, forwarded_count, is_verified })
  return `${JSON.stringify(session_id)}:${facts.slice(0, -1)},"session_data":${session_data}}`
}

/**
 * Returns one session's key. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid
 */
export async function readBackedUpKey(
  app: Pick<App, 'database'>,
  key: BackupKey,
  range: { roomId: RoomId; sessionId: string },
): Promise<SessionKey> {
  await requireBackup(app, key)
  for await (const [found] of loadBackupSessions(app.database, key, range)) {
    const { room_id: _room, session_id: _session, session_data, ...facts } = found!
    return { ...facts, session_data: JSON.parse(session_data) }
  }
  throw new NotFoundError('The backup does not contain this key')
}

/** Runs a change under the backup's lock, and returns the new count and ETag. */
async function changeKeys(
  app: Pick<App, 'database'>,
  key: BackupKey,
  change: (tx: Tx) => Promise<BackupChange>,
): Promise<BackupState> {
  return app.database.write(async (tx) => {
    const backup = await lockKeyBackup(tx, key)
    if (!backup || backup.deleted) throw await missingBackup(tx, key, backup)
    const changed = await change(tx)
    if (changed.isChanged) await noteBackupChange(tx, key, changed)
    return { count: backup.key_count + changed.keys, etag: String(backup.etag + (changed.isChanged ? 1 : 0)) }
  })
}

async function requireCurrent(tx: Tx, { userId, version }: BackupKey): Promise<void> {
  const current = await findCurrentKeyBackup(tx, userId)
  if (current && current.version !== version) throw wrongVersion(current)
}

/** A client that writes to a deleted version has to learn the current version. */
async function missingBackup(tx: Tx, { userId }: BackupKey, backup: KeyBackupRow | undefined): Promise<MatrixError> {
  const current = backup && (await findCurrentKeyBackup(tx, userId))
  return current ? wrongVersion(current) : unknownBackup()
}

function wrongVersion(current: KeyBackupRow): MatrixError {
  return new MatrixError(403, 'M_WRONG_ROOM_KEYS_VERSION', 'This is not the current backup version', {
    current_version: String(current.version),
  })
}
