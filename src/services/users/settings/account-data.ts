import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import { isStorableName, type UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import { requireSize, requireTotal } from '../../../core/limits.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import {
  type AccountDataKey,
  deleteAccountData,
  findAccountData,
  measureAccountData,
  storeAccountData,
} from '../../../storage/users/account-data.ts'
import { lockUser } from '../../../storage/users/users.ts'
import { pushRulesOf } from './push-rules.ts'

/** Written only through endpoints of their own. */
const MANAGED_BY_SERVER = ['m.push_rules', 'm.fully_read']

/** Returns the content of one entry of account data, as JSON text. Throws M_NOT_FOUND. */
export async function getAccountData(app: Pick<App, 'database'>, userId: UserId, key: AccountDataKey): Promise<string> {
  if (key.roomId === '' && key.type === 'm.push_rules') {
    return JSON.stringify({ global: await pushRulesOf(app, userId) })
  }
  const content = await findAccountData(app.database, userId, key)
  if (content === undefined) throw new NotFoundError('There is no account data of this type')
  return content
}

/**
 * Sets an entry of account data; `{}` removes it, according to MSC3391. Throws 405 M_BAD_JSON for server-managed types,
 * and M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype
 */
export async function putAccountData(
  app: Pick<App, 'database' | 'config'>,
  userId: UserId,
  { roomId, type, content }: AccountDataKey & { content: JsonObject },
): Promise<void> {
  checkType(type)
  if (Object.keys(content).length === 0) return removeAccountData(app, userId, { roomId, type })
  const text = canonicalJson(content, { strict: false })
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await storeWithinLimits(app, tx, { userId, roomId, type, content: text })
  })
}

/** Stores an entry of account data (`content` is JSON text). The caller holds the user's lock. Throws M_TOO_LARGE. */
export async function storeWithinLimits(
  { config }: Pick<App, 'config'>,
  tx: Tx,
  { userId, ...entry }: AccountDataKey & { userId: UserId; content: string },
): Promise<void> {
  requireSize(config.limits, 'account_data', entry.content)
  const { own, others } = await measureAccountData(tx, userId, entry)
  const bytes = Buffer.byteLength(entry.content)
  // Shrinking an entry is allowed even if the limit has been lowered since.
  if (bytes > own) requireTotal(config.limits, 'account_data', others + bytes)
  await storeAccountData(tx, userId, entry)
}

/**
 * Removes an entry of account data, if present: https://github.com/matrix-org/matrix-spec-proposals/pull/3391. Throws
 * as putAccountData.
 */
export async function removeAccountData(
  app: Pick<App, 'database'>,
  userId: UserId,
  key: AccountDataKey,
): Promise<void> {
  checkType(key.type)
  await app.database.write((tx) => deleteAccountData(tx, userId, key))
}

function checkType(type: string): void {
  if (MANAGED_BY_SERVER.includes(type)) {
    throw new MatrixError(405, 'M_BAD_JSON', `${type} cannot be changed as account data`)
  }
  if (!isStorableName(type)) throw new InvalidParamError('Types of account data have at most 255 bytes, without NUL')
}
