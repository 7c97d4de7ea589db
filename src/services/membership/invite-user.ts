import { z } from 'zod'
import type { App } from '../../app.ts'
import { checkEventAuth } from '../../core/auth-rules/check-event-auth.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { buildEvent } from '../../core/events/build-event.ts'
import { eventIdOf } from '../../core/events/reference-hash.ts'
import { type EventId, type ServerName, serverNameOf } from '../../core/ids.ts'
import type { Event, JsonObject, Pdu } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { overlayOf } from '../../storage/rooms/timeline/locked-room.ts'
import { askInTurn } from '../federation/requests/ask-in-turn.ts'
import { withApproval } from '../federation/trust/with-approval.ts'
import { requireAllowedInvite } from '../rooms/access/allowed-contacts.ts'
import { awaitFullState } from '../rooms/access/await-full-state.ts'
import { screenInvite } from '../rooms/access/invitable.ts'
import { requireJoined } from '../rooms/access/room-member.ts'
import { readRoomIdentity } from '../rooms/directory/room-identity.ts'
import { invite as inviteOwnUser, type Moderation } from '../rooms/membership/moderate-member.ts'
import { appendRemoteEvent } from '../rooms/timeline/append-remote-event.ts'
import { draftEvent } from '../rooms/timeline/draft-event.ts'
import { runInRoom } from '../rooms/timeline/run-in-room.ts'

/**
 * Invites a user of any server; an invited user may be invited again. A remote user's server has to sign the invite
 * first, and may refuse. Throws M_FORBIDDEN, M_INVITE_BLOCKED, the other server's refusal, and 502 if it cannot be
 * reached.
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 */
export async function inviteUser(app: App, moderation: Moderation): Promise<void> {
  if (serverNameOf(moderation.target) === app.serverName) await inviteOwnUser(app, moderation)
  else await inviteRemoteUser(app, moderation)
}

/** As `inviteUser`, for a remote user. `content` has further keys of the event. */
export async function inviteRemoteUser(app: App, moderation: Moderation): Promise<EventId> {
  const { roomId, sender, content } = moderation
  await runInRoom(app, roomId, (room) => requireJoined(room, sender))
  await requireAllowedInvite(app, { inviter: sender, invitees: [moderation.target], roomId })
  await screenInvite(app, { roomId, inviter: sender, invitee: moderation.target })
  await awaitFullState(app, roomId)
  return inviteByDraft(app, { ...moderation, content: { ...content, membership: 'invite' } })
}

/** Sends an invite with exactly this content, if the rules allow it and the invited user's server has signed it. */
export async function inviteByDraft(app: App, moderation: Moderation): Promise<EventId> {
  const { roomId, target } = moderation
  const draft = await draftInvite(app, moderation)
  const pdu = await askInTurn([serverNameOf(target)], (server) => requestSignature(app, server, draft))
  const event = { ...draft.event, pdu }
  return withApproval(app, event, (signed, refusal) =>
    app.rooms.run(roomId, async (room) => {
      const { outcome, event: stored, reason } = await appendRemoteEvent(app, room, signed, refusal)
      // The room may have changed during the request.
      if (outcome !== 'accepted') throw new ForbiddenError(reason ?? 'The invite exists already')
      room.outgoing.push(stored.event_nid)
      return stored.event_id
    }),
  )
}

type DraftedInvite = { version: RoomVersion; event: Event; roomState: Pdu[] }

function draftInvite(app: App, { roomId, sender, target, content }: Moderation): Promise<DraftedInvite> {
  return runInRoom(app, roomId, async (room) => {
    const { version, draft, known } = await draftEvent(app, room, {
      type: 'm.room.member',
      state_key: target,
      sender,
      content,
    })
    if (known.get('m.room.create', '')?.pdu.content['m.federate'] === false) {
      throw new ForbiddenError('The room is only for users of this server')
    }
    const event = buildEvent(
      version,
      { ...draft, origin: app.serverName },
      { serverName: app.serverName, ...app.signingKeys.current },
    )
    const verdict = checkEventAuth(version, event, known)
    if (!verdict.allowed) throw new ForbiddenError(verdict.reason)
    const root = room.head?.state_root ?? 0
    const identity = await readRoomIdentity(room.db, { root, inviter: sender, overlay: overlayOf(room) })
    return { version, event, roomState: identity.map(({ pdu }) => pdu) }
  })
}

const TIMEOUT_MS = 60_000

const signedInvite = z.looseObject({ signatures: z.record(z.string(), z.record(z.string(), z.string())) })
const answerV2 = z.object({ event: signedInvite })
const answerV1 = z.tuple([z.literal(200), answerV2])

/** Returns the event with the signature of the invited user's server. */
async function requestSignature(app: App, server: ServerName, invite: DraftedInvite): Promise<Pdu> {
  const { version, event } = invite
  const parsed = z.union([answerV2, answerV1]).safeParse(await sendInvite(app, server, invite))
  if (!parsed.success) throw new FederationError(`${server} does not answer the invite as it should`)
  const { event: said } = Array.isArray(parsed.data) ? parsed.data[1] : parsed.data
  const signed = { ...event.pdu, ...said } as Pdu
  const signature = said.signatures[server]
  if (eventIdOf(version, signed) !== event.event_id || signature === undefined) {
    throw new FederationError(`${server} does not return the invite with its signature`)
  }
  return { ...event.pdu, signatures: { ...event.pdu.signatures, [server]: signature } }
}

/** Servers that predate room versions support only v1. */
async function sendInvite(
  app: App,
  server: ServerName,
  { version, event, roomState }: DraftedInvite,
): Promise<unknown> {
  const path = `invite/${encodeURIComponent(event.room_id)}/${encodeURIComponent(event.event_id)}`
  const put = (form: 'v1' | 'v2', body: object) =>
    app.federation.request({
      destination: server,
      method: 'PUT',
      path: `/_matrix/federation/${form}/${path}`,
      body,
      timeoutMs: TIMEOUT_MS,
    })
  try {
    return await put('v2', { room_version: version.id, event: event.pdu, invite_room_state: roomState })
  } catch (error) {
    const isOld = version.eventIdFormat === 'server-chosen'
    if (!isOld || !(error instanceof FederationError) || (error.status !== 400 && error.status !== 404)) throw error
    const unsigned: JsonObject = { invite_room_state: roomState as unknown as JsonObject[] }
    return put('v1', { ...event.pdu, unsigned })
  }
}
