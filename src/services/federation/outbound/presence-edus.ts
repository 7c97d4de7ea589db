import { type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import { presenceContent } from '../../../core/presence-content.ts'
import type { Db } from '../../../storage/engine/database.ts'
import type { NewEdu } from '../../../storage/federation/federation-outbox.ts'
import {
  claimPresenceRound,
  filterNewServers,
  loadPresentLocals,
} from '../../../storage/federation/federation-progress.ts'
import { loadOwnPresence, loadPresentOwnUsers } from '../../../storage/presence/remote-presence.ts'
import { loadNewServersOfUsers, loadServersOfUsers } from '../../../storage/rooms/membership/other-servers.ts'
import type { PresenceRow } from '../../../storage/schema/presence.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { queueWithinLimit } from '../../devices/queue-edus.ts'
import type { FollowingApp } from './following-app.ts'
import type { MemberMove } from './member-moves.ts'

type PresenceEduApp = Pick<FollowingApp, 'config' | 'serverName' | 'clock'>

/** Other servers expire presence after half an hour without an update. */
const ROUND_MS = 20 * 60_000
const USERS_AT_ONCE = 200
/** Number of a room's present members sent to a server that joins it. */
const MAX_MET = 100

/**
 * Returns EDUs for changed presence of local users, for the servers that share a room with them.
 * https://spec.matrix.org/v1.19/server-server-api/#presence
 */
export async function changedPresenceEdus(app: PresenceEduApp, db: Db, rows: readonly StreamRow[]): Promise<NewEdu[]> {
  if (!app.config.presence.enabled) return []
  const changed = rows.flatMap(({ kind, user_id }) => (kind === 'presence' && user_id !== null ? user_id : []))
  const own = [...new Set(changed)].filter((userId) => serverNameOf(userId) === app.serverName)
  return presenceEdus(app, db, await loadServersOfUsers(db, own))
}

/** Returns the presence of local users for servers that shared no room with them before. */
export async function presenceForNewServers(
  app: PresenceEduApp,
  db: Db,
  moves: readonly MemberMove[],
): Promise<NewEdu[]> {
  if (!app.config.presence.enabled) return []
  const joins = moves.filter((move) => move.isJoined)
  const ours = joins.filter((join) => join.isOurs)
  const known = await loadNewServersOfUsers(db, ours)
  const newServers = await filterNewServers(
    db,
    joins.filter((join) => !join.isOurs),
  )
  const present = await loadPresentLocals(db, [...new Set(newServers.map(({ roomId }) => roomId))], MAX_MET)
  for (const { room_id, user_id } of present) {
    const servers = newServers.filter(({ roomId }) => roomId === room_id).map(({ server }) => server)
    known.set(user_id, [...new Set([...(known.get(user_id) ?? []), ...servers])])
  }
  const edus = await presenceEdus(app, db, known)
  return edus.filter(({ content }) => content.push[0]?.presence !== 'offline')
}

/** Sends presence to other servers again, unless any process did so recently. */
export async function resendPresence(app: FollowingApp): Promise<void> {
  if (!app.config.presence.enabled) return
  const now = app.clock.now()
  if (!(await app.database.writeLazily((tx) => claimPresenceRound(tx, { now, before: now - ROUND_MS })))) return
  let after: string | undefined = ''
  while (after !== undefined) {
    const users: UserId[] = await loadPresentOwnUsers(app.database, after, USERS_AT_ONCE)
    const edus = await presenceEdus(app, app.database, await loadServersOfUsers(app.database, users))
    await app.database.writeLazily((tx) => queueWithinLimit(app, tx, edus))
    after = users.length === USERS_AT_ONCE ? users.at(-1) : undefined
  }
}

async function presenceEdus(app: PresenceEduApp, db: Db, servers: ReadonlyMap<UserId, readonly ServerName[]>) {
  if (servers.size === 0) return []
  const now = app.clock.now()
  return (await loadOwnPresence(db, [...servers.keys()])).flatMap((row) => {
    const content = { push: [{ user_id: row.user_id, ...sentPresence(row, now) }] }
    return (servers.get(row.user_id) ?? []).map((destination) => ({
      destination,
      type: 'm.presence',
      content,
      key: `m.presence ${row.user_id}`,
      isEphemeral: true,
    }))
  })
}

/** Other servers require `last_active_ago`. */
function sentPresence(row: PresenceRow, now: number) {
  return {
    ...presenceContent(row, now),
    presence: row.presence,
    last_active_ago: Math.max(0, now - row.last_active_ts),
  }
}
