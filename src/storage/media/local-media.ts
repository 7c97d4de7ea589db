import { sql } from 'kysely'
import type { MediaName } from '../../core/content-uri.ts'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { QUARANTINED_BY } from './media.ts'

/** Media as administrators see it. */
export type MediaRecord = {
  server_name: ServerName
  media_id: string
  uploader: UserId | null
  content_type: string
  filename: string | null
  created_ts: number
  accessed_ts: number | null
  sha256: string | null
  size: number | null
  quarantined_by: string | null
  is_protected: boolean
}

export type MediaOrder =
  | 'media_id'
  | 'upload_name'
  | 'created_ts'
  | 'last_access_ts'
  | 'media_length'
  | 'media_type'
  | 'quarantined_by'
  | 'safe_from_quarantine'

export type Paged<Order> = { from: number; limit: number; orderBy: Order; isDescending: boolean }

const RECORD = sql`m.server_name, m.media_id, uploader, content_type, filename, m.created_ts, accessed_ts, m.sha256,
  size, is_protected, ${QUARANTINED_BY} as quarantined_by`

/** Returns media of any server, or undefined. */
export async function findMediaRecord(db: Db, { serverName, mediaId }: MediaName): Promise<MediaRecord | undefined> {
  const { rows } = await sql<MediaRecord>`select ${RECORD} from media m left join media_files f on f.sha256 = m.sha256
    where server_name = ${serverName} and media_id = ${mediaId}`.execute(db.sql)
  return rows[0]
}

/** Returns a page of the media that a user uploaded, and the number of all. */
export async function listMediaOfUser(
  db: Db,
  userId: UserId,
  { from, limit, orderBy, isDescending }: Paged<MediaOrder>,
): Promise<{ media: MediaRecord[]; total: number }> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const { rows: media } = await sql<MediaRecord>`select * from (
      select ${RECORD} from media m join media_files f on f.sha256 = m.sha256 where uploader = ${userId}) as own
    order by case ${orderBy}::text when 'created_ts' then created_ts when 'last_access_ts' then accessed_ts
        when 'media_length' then size when 'safe_from_quarantine' then is_protected::int end ${direction},
      case ${orderBy}::text when 'upload_name' then filename when 'media_type' then content_type
        when 'quarantined_by' then quarantined_by when 'media_id' then media_id end ${direction}, media_id
    limit ${limit}::bigint offset ${from}::bigint`.execute(db.sql)
  const { rows } = await sql<{ total: number }>`select count(*) as total from media
    where uploader = ${userId} and sha256 is not null`.execute(db.sql)
  return { media, total: rows[0]!.total }
}

/** Local media by last access, for deletion. */
export type OldMedia = { media_id: string; accessed_ts: number; sha256: string }

/**
 * Returns up to `limit` files that users of this server uploaded, without an access since `before`, larger than
 * `sizeAbove`, neither quarantined nor protected; those least recently used first, from a place on.
 *
 * @param search.keepAvatars Whether avatars of users and rooms are left out.
 */
export async function findOldMedia(
  db: Db,
  search: {
    serverName: ServerName
    before: number
    sizeAbove: number
    keepAvatars: boolean
    after: { accessedTs: number; mediaId: string }
    limit: number
  },
): Promise<OldMedia[]> {
  const uri = sql`'mxc://' || m.server_name || '/' || m.media_id`
  // Not `exists`, for which PostgreSQL reads the tables whole.
  const isAvatar = sql`coalesce((select true from profiles p where p.avatar_url = ${uri} limit 1),
    (select true from rooms r where r.avatar_url = ${uri} limit 1),
    (select true from room_memberships i where i.user_id = m.uploader and i.avatar_url = ${uri} limit 1), false)`
  const { rows } = await sql<OldMedia>`select media_id, accessed_ts, m.sha256 from media m
      join media_files f on f.sha256 = m.sha256
    where uploader is not null and accessed_ts < ${search.before}::bigint and accessed_ts >= ${search.after.accessedTs}::bigint
      and (accessed_ts, media_id) > (${search.after.accessedTs}::bigint, ${search.after.mediaId}::text)
      and server_name = ${search.serverName} and size > ${search.sizeAbove}::bigint and not is_protected
      and ${QUARANTINED_BY} is null ${search.keepAvatars ? sql`and not ${isAvatar}` : sql``}
    order by accessed_ts, media_id limit ${search.limit}::int`.execute(db.sql)
  return rows
}

/** Returns IDs of media that a user uploaded or reserved, without quarantined files, which stay as evidence. */
export async function findMediaToErase(db: Db, userId: UserId, limit: number): Promise<string[]> {
  const { rows } = await sql<{ media_id: string }>`select media_id from media m where uploader = ${userId}
    and ${QUARANTINED_BY} is null limit ${limit}::int`.execute(db.sql)
  return rows.map(({ media_id }) => media_id)
}

/** Counts the quarantined files that a user uploaded. */
export async function countQuarantinedOfUser(db: Db, userId: UserId): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from media m where uploader = ${userId}
    and ${QUARANTINED_BY} is not null`.execute(db.sql)
  return rows[0]!.count
}

/** Deletes media of a server, and returns the IDs and files of those that existed. */
export async function deleteMediaById(
  tx: Tx,
  serverName: ServerName,
  mediaIds: readonly string[],
): Promise<{ media_id: string; sha256: string | null }[]> {
  const { rows } = await sql<{ media_id: string; sha256: string | null }>`delete from media
    where server_name = ${serverName} and media_id = any(${mediaIds}::text[]) returning media_id, sha256`.execute(
    tx.sql,
  )
  return rows
}

/** Protects media of a server from quarantine, or ends that. False if they do not exist. */
export async function setMediaProtected(
  tx: Tx,
  { serverName, mediaId }: MediaName,
  isProtected: boolean,
): Promise<boolean> {
  const { rows } = await sql`update media set is_protected = ${isProtected}::boolean
    where server_name = ${serverName} and media_id = ${mediaId} returning 1`.execute(tx.sql)
  return rows.length === 1
}

export type UsageOrder = 'user_id' | 'displayname' | 'media_count' | 'media_length'
export type MediaUsage = { user_id: UserId; displayname: string | null; media_count: number; media_length: number }

/** Returns a page of the users with uploads, and the number of all of them. */
export async function listMediaUsage(
  db: Db,
  {
    from,
    limit,
    orderBy,
    isDescending,
    since,
    until,
    term,
  }: Paged<UsageOrder> & { since: number; until: number; term: string },
): Promise<{ users: MediaUsage[]; total: number }> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const usage = sql`select uploader as user_id, min(displayname) as displayname, count(*) as media_count,
      sum(size)::bigint as media_length
    from media m join media_files f on f.sha256 = m.sha256 left join profiles p on p.user_id = uploader
    where uploader is not null and m.created_ts >= ${since}::bigint and m.created_ts <= ${until}::bigint
      and (${term}::text = '' or position(lower(${term}) in lower(uploader)) > 0
        or position(lower(${term}) in lower(displayname)) > 0)
    group by uploader`
  const { rows: users } = await sql<MediaUsage>`select * from (${usage}) as usage
    order by case ${orderBy}::text when 'media_count' then media_count when 'media_length' then media_length end ${direction},
      case ${orderBy}::text when 'user_id' then user_id when 'displayname' then displayname end ${direction}, user_id
    limit ${limit}::bigint offset ${from}::bigint`.execute(db.sql)
  const { rows } = await sql<{ total: number }>`select count(*) as total from (${usage}) as usage`.execute(db.sql)
  return { users, total: rows[0]!.total }
}
