import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { domainOf, localpartOf, type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { PolicySubject } from '../../../core/rooms/policy-rules.ts'
import { comparableHost } from '../../../core/rooms/server-acl.ts'
import { isDeniedBy, type ServerLists } from '../../../core/rooms/server-lists.ts'

type Deciding = Pick<App, 'config' | 'serverName' | 'policyLists'>

/**
 * Throws M_FORBIDDEN if the configuration denies invites between the inviter and an invited user, or a policy list bans
 * one of them, their servers or the room.
 */
export async function requireAllowedInvite(
  app: Deciding,
  { inviter, invitees, roomId }: { inviter: UserId; invitees: readonly UserId[]; roomId?: RoomId | undefined },
): Promise<void> {
  const people = [inviter, ...invitees]
  const denied = people.map(serverNameOf).find((server) => isDenied(app, app.config.abuse.invites, server))
  if (denied !== undefined) throw new ForbiddenError(`This server does not exchange invites with ${denied}`)
  await requireUnbanned(app, { users: people, roomId })
}

/** As `requireAllowedInvite`, for the join of a user of any server. */
export async function requireAllowedJoin(
  app: Deciding,
  { userId, roomId }: { userId: UserId; roomId: RoomId },
): Promise<void> {
  const servers = [serverNameOf(userId), domainOf(roomId)].filter((server) => server !== undefined)
  const denied = servers.find((server) => isDenied(app, app.config.abuse.joins, server))
  if (denied !== undefined) throw new ForbiddenError(`This server does not share rooms with ${denied}`)
  await requireUnbanned(app, { users: [userId], roomId })
}

/** Whether the configuration denies a server; never this one. */
function isDenied({ serverName, config }: Deciding, lists: ServerLists, server: ServerName): boolean {
  return server !== serverName && [lists, config.federation.servers].some((each) => isDeniedBy(each, server))
}

async function requireUnbanned(
  app: Deciding,
  { users, roomId }: { users: readonly UserId[]; roomId: RoomId | undefined },
): Promise<void> {
  if (app.config.abuse.policy_rooms.length === 0) return
  const { findBan } = await app.policyLists.rules()
  const remote = users.map(serverNameOf).filter((server) => server !== app.serverName)
  const room = roomId === undefined ? [] : [roomId]
  const entities: [PolicySubject, string][] = [
    ...users.flatMap((user) => variantsOf(user).map((id) => ['user', id] as [PolicySubject, string])),
    ...remote.flatMap((server) => namesOf(server).map((name) => ['server', name] as [PolicySubject, string])),
    ...room.map((id) => ['room', id] as [PolicySubject, string]),
  ]
  for (const [subject, entity] of entities) {
    const reason = findBan(subject, entity)
    if (reason === undefined) continue
    throw new ForbiddenError(`A policy list of this server bans ${entity}${reason === '' ? '' : `: ${reason}`}`)
  }
}

/** Rules usually name servers without a port, and in lower case. */
function namesOf(server: ServerName): string[] {
  return [...new Set([server, comparableHost(server)])]
}

function variantsOf(user: UserId): string[] {
  return namesOf(serverNameOf(user)).map((server) => `@${localpartOf(user)}:${server}`)
}
