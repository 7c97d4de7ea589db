import { sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendQuarantineChanges } from './quarantine-changes.ts'
import { appendReleases } from './quarantine-releases.ts'

/** A server whose media are not served. */
export type QuarantinedServer = { server_name: ServerName; set_by: string; reason: string | null; set_ts: number }

/** Quarantines all media of a server, unless they are already. */
export async function insertQuarantinedServer(tx: Tx, server: QuarantinedServer): Promise<void> {
  await tx.sql
    .insertInto('media_quarantined_servers')
    .values(server)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Ends the quarantine of a server's media, if there is one. */
export async function deleteQuarantinedServer(tx: Tx, serverName: ServerName): Promise<void> {
  await tx.sql.deleteFrom('media_quarantined_servers').where('server_name', '=', serverName).execute()
}

export function findQuarantinedServer(db: Db, serverName: ServerName): Promise<QuarantinedServer | undefined> {
  return db.sql
    .selectFrom('media_quarantined_servers')
    .selectAll()
    .where('server_name', '=', serverName)
    .executeTakeFirst()
}

/** Returns a page of the servers, newest first, and the number of all. */
export async function listQuarantinedServers(
  db: Db,
  { from, limit }: { from: number; limit: number },
): Promise<{ servers: QuarantinedServer[]; total: number }> {
  const servers = await sql<QuarantinedServer>`select * from media_quarantined_servers
    order by set_ts desc, server_name desc limit ${limit}::bigint offset ${from}::bigint`.execute(db.sql)
  const total = await sql<{ total: number }>`select count(*) as total from media_quarantined_servers
    where set_ts >= 0`.execute(db.sql)
  return { servers: servers.rows, total: total.rows[0]!.total }
}

/**
 * Appends changes of the quarantine for up to `limit` stored media of a server, in the order of their IDs. Returns the
 * number, and the last ID.
 */
export async function appendServerChanges(
  tx: Tx,
  serverName: ServerName,
  page: { after: string; limit: number; isQuarantined: boolean },
): Promise<{ count: number; last: string }> {
  const { rows } = await sql<{ media_id: string }>`select media_id from media
    where server_name = ${serverName} and media_id > ${page.after} and sha256 is not null
    order by media_id limit ${page.limit}::int`.execute(tx.sql)
  const names = rows.map(({ media_id: mediaId }) => ({ serverName, mediaId }))
  if (page.isQuarantined) appendQuarantineChanges(tx, names, true)
  else await appendReleases(tx, names)
  return { count: rows.length, last: rows.at(-1)?.media_id ?? page.after }
}
