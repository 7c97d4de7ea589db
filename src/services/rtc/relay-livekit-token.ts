import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { RoomId, ServerName, UserId } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { requireInCallRoom } from './livekit-tokens.ts'

const TIMEOUT_MS = 20_000
const MAX_BYTES = 64 * 1024
const MAX_TOKEN_LENGTH = 16 * 1024
/** Of the proposal, which is not merged. */
const PATH = '/_matrix/federation/unstable/io.element.msc4195/rtc/livekit/get_token'

const answer = z.object({ jwt: z.string().min(1).max(MAX_TOKEN_LENGTH) })

/** A request of a local user for the LiveKit of another server. `url`: the WebSocket URL of that LiveKit. */
export type RelayedRequest = {
  userId: UserId
  roomId: RoomId
  slotId: string
  url: string
  memberId: string
  deviceId: string
}

/**
 * Requests a token for the LiveKit of another server. Its refusals are passed on. Throws M_FORBIDDEN if the user is not
 * joined to the room, and M_UNRECOGNIZED if the other server has no such endpoint.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4195
 */
export async function relayLivekitToken(
  app: Pick<App, 'database' | 'serverName' | 'federation'>,
  destination: ServerName,
  { userId, roomId, slotId, url, memberId, deviceId }: RelayedRequest,
): Promise<string> {
  await requireInCallRoom(app, roomId, userId)
  // Earlier drafts name the member by an object.
  const member = { id: memberId, claimed_user_id: userId, claimed_device_id: deviceId }
  const body = { user_id: userId, room_id: roomId, slot_id: slotId, url, member_id: memberId, member }
  const { success, data } = answer.safeParse(await requestToken(app, destination, body))
  if (!success) throw new FederationError(`${destination} answers no LiveKit token`, { retryable: false })
  return data.jwt
}

async function requestToken(
  { federation }: Pick<App, 'federation'>,
  destination: ServerName,
  body: object,
): Promise<unknown> {
  try {
    return await federation.request({
      destination,
      method: 'POST',
      path: PATH,
      body,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    })
  } catch (error) {
    if (!(error instanceof FederationError) || !error.isUnknownEndpoint()) throw error
    // Clients then use the token service of the other server.
    throw new MatrixError(404, 'M_UNRECOGNIZED', `${destination} issues no LiveKit tokens`)
  }
}
