import { createHash } from 'node:crypto'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { parseFilter } from '../../../core/filters/filter-schema.ts'
import type { UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import { requireCount, requireSize } from '../../../core/limits.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { countFilters, findFilter, storeFilter } from '../../../storage/users/filters.ts'
import { lockUser } from '../../../storage/users/users.ts'

/** A letter distinguishes IDs from inline filters, which `/sync` also accepts and which start with a brace. */
const ID_PREFIX = 'f'
const ID_LENGTH = 16

/**
 * Stores a filter and returns its ID; equal filters have the same ID. Throws M_BAD_JSON and M_TOO_LARGE.
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 */
export async function addFilter(
  app: Pick<App, 'database' | 'config'>,
  userId: UserId,
  filter: JsonObject,
): Promise<string> {
  const { limits } = app.config
  parseFilter(filter)
  const text = canonicalJson(filter, { strict: false })
  requireSize(limits, 'filter', text)
  const hash = createHash('sha256').update(text).digest('base64url')
  const filterId = ID_PREFIX + hash.slice(0, ID_LENGTH)
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    if (await storeFilter(tx, { userId, filterId }, text))
      requireCount(limits, 'filters', await countFilters(tx, userId))
  })
  return filterId
}

/** Returns a stored filter, as JSON text. Throws M_NOT_FOUND. */
export async function getFilter(app: Pick<App, 'database'>, userId: UserId, filterId: string): Promise<string> {
  const filter = await findFilter(app.database, { userId, filterId })
  if (filter === undefined) throw new NotFoundError('Unknown filter')
  return filter
}
