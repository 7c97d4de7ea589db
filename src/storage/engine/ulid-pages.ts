import { type RawBuilder, sql } from 'kysely'
import { partsOfUlid, type Ulid } from '../../core/ulid.ts'

/** The part of a list between two rows (null: its ends), at most `limit` rows from its start or from its end. */
export type UlidPage = { after: Ulid | null; before: Ulid | null; fromEnd: boolean; limit: number }

type Column = RawBuilder<unknown>

/** Returns the hash of a key, as in the ULID of its row. */
function hashOfKey(key: Column) {
  return sql`substr(encode(sha256(convert_to(${key}, 'UTF8')), 'hex'), 1, 20)`
}

/** Returns the condition that a row has a ULID, by the columns of its time and its key. */
export function hasUlid(time: Column, key: Column, id: Ulid) {
  const { ts, hash } = partsOfUlid(id)
  return sql`${time} = ${ts}::bigint and ${hashOfKey(key)} = ${hash}`
}

/**
 * Returns the condition, the order and the limit of a page of rows in the order of their ULIDs. An index on the time
 * finds them. With `fromEnd` the last row comes first.
 */
export function inPage(time: Column, key: Column, page: UlidPage) {
  const after = page.after ? partsOfUlid(page.after) : { ts: -1, hash: '' }
  const before = page.before ? partsOfUlid(page.before) : { ts: Number.MAX_SAFE_INTEGER, hash: '' }
  const direction = page.fromEnd ? sql`desc` : sql`asc`
  return sql`(${time}, ${hashOfKey(key)}) > (${after.ts}::bigint, ${after.hash}::text)
    and (${time}, ${hashOfKey(key)}) < (${before.ts}::bigint, ${before.hash}::text)
    order by ${time} ${direction}, ${hashOfKey(key)} ${direction} limit ${page.limit}::int`
}
