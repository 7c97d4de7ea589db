import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { buildEvent } from '../../../core/events/build-event.ts'
import { type EventId, isEventId, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Event, JsonObject } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { requireUnblocked } from '../../rooms/timeline/blocked-room.ts'

/** A local user's membership change in a remote room. */
export type MemberWish = {
  roomId: RoomId
  userId: UserId
  membership: 'join' | 'leave' | 'knock'
  /** Content of the member event, with `membership`. */
  content: JsonObject
  /** Aborts the request early. */
  signal?: AbortSignal
}

/** A signed member event of a local user, and the version of its room. */
export type PreparedMember = { version: RoomVersion; event: Event }

const TIMEOUT_MS = 20_000

const eventId = z.custom<EventId>((value) => typeof value === 'string' && isEventId(value))
const hashed = z.tuple([eventId, z.object({ sha256: z.string() }).partial()])
const references = z.union([z.array(eventId), z.array(hashed)])

const answer = z.object({
  // Servers that predate room versions omit it.
  room_version: z.string().prefault('1'),
  event: z.object({
    type: z.literal('m.room.member'),
    room_id: z.string(),
    sender: z.string(),
    state_key: z.string(),
    content: z.object({ membership: z.string(), join_authorised_via_users_server: z.string().optional() }),
    depth: z.int().min(0),
    prev_events: references,
    auth_events: references,
  }),
})
type Template = z.output<typeof answer>['event']

/**
 * Requests the template of a member event from a resident server, and completes and signs it. Throws FederationError if
 * the server cannot be reached, refuses, or gives an invalid response, M_UNSUPPORTED_ROOM_VERSION, and M_FORBIDDEN
 * for a blocked room.
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 */
export async function prepareMember(app: App, server: ServerName, wish: MemberWish): Promise<PreparedMember> {
  const { roomId, userId, membership } = wish
  if (membership !== 'leave') await requireUnblocked(app.database, roomId)
  const said = await app.federation.request({
    destination: server,
    method: 'GET',
    path: `/_matrix/federation/v1/make_${membership}/${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}`,
    // Leaving does not depend on the supported versions.
    query: membership === 'leave' ? {} : { ver: spokenVersions(membership) },
    timeoutMs: TIMEOUT_MS,
    ...(wish.signal && { signal: wish.signal }),
  })
  const parsed = answer.safeParse(said)
  if (!parsed.success) throw malformed(server, membership)
  const { room_version, event: template } = parsed.data
  const version = ROOM_VERSIONS.get(room_version)
  if (!version) {
    throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', `The room has the unsupported version ${room_version}`)
  }
  if (!isFor(template, wish)) throw malformed(server, membership)
  return { version, event: completed(app, version, { template, wish }) }
}

function spokenVersions(membership: MemberWish['membership']): string[] {
  return [...ROOM_VERSIONS.values()].flatMap((version) => (membership !== 'knock' || version.knock ? version.id : []))
}

function isFor(template: Template, { roomId, userId, membership }: MemberWish): boolean {
  const { room_id, sender, state_key, content } = template
  return room_id === roomId && sender === userId && state_key === userId && content.membership === membership
}

function completed(
  app: Pick<App, 'clock' | 'serverName' | 'signingKeys'>,
  version: RoomVersion,
  { template, wish }: { template: Template; wish: MemberWish },
): Event {
  const authoriser = template.content.join_authorised_via_users_server
  const isAuthorised = version.restrictedJoins && authoriser !== undefined && wish.membership === 'join'
  const draft = {
    room_id: wish.roomId,
    type: 'm.room.member',
    state_key: wish.userId,
    sender: wish.userId,
    origin: app.serverName,
    content: { ...wish.content, ...(isAuthorised && { join_authorised_via_users_server: authoriser }) },
    origin_server_ts: app.clock.now(),
    depth: template.depth,
    prev_events: template.prev_events.map(idOf),
    auth_events: template.auth_events.map(idOf),
    reference_hashes: Object.fromEntries([...template.prev_events, ...template.auth_events].flatMap(hashOf)),
  }
  return buildEvent(version, draft, { serverName: app.serverName, ...app.signingKeys.current })
}

function idOf(reference: Template['prev_events'][number]): EventId {
  return typeof reference === 'string' ? reference : reference[0]
}

function hashOf(reference: Template['prev_events'][number]): [EventId, { sha256: string }][] {
  if (typeof reference === 'string') return []
  const [id, { sha256 }] = reference
  return sha256 === undefined ? [] : [[id, { sha256 }]]
}

function malformed(server: ServerName, membership: string): FederationError {
  return new FederationError(`${server} answers no template of the event that make_${membership} asks for`)
}
