import type { App } from '../../app.ts'
import { domainOf, type EventId, isUserId } from '../../core/ids.ts'
import { type StateToSend, sendStateLocally } from '../rooms/sending/send-state-locally.ts'
import { inviteRemoteUser } from './invite-user.ts'

/**
 * Sets room state, and returns the event ID. The invite of a remote user is sent to their server first. Throws as
 * `sendStateLocally` and `inviteUser`.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export async function sendState(app: App, state: StateToSend): Promise<EventId> {
  const { roomId, sender, type, stateKey, content } = state
  const isInvite = type === 'm.room.member' && content.membership === 'invite' && isUserId(stateKey)
  if (!isInvite || domainOf(stateKey) === app.serverName) return sendStateLocally(app, state)
  return inviteRemoteUser(app, { roomId, sender, target: stateKey, content })
}
