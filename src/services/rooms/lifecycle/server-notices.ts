import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { type EventId, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { type Tx, violatesUnique } from '../../../storage/engine/database.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { findNoticesRoom, insertNoticesRoom, ONE_NOTICES_ROOM } from '../../../storage/rooms/server-notices.ts'
import { storeAccountData } from '../../../storage/users/account-data.ts'
import { loadProfile } from '../../../storage/users/profiles.ts'
import { findUser, lockUser } from '../../../storage/users/users.ts'
import { createUser } from '../../users/create-user.ts'
import { setProfileField } from '../../users/profile.ts'
import { noticesUser } from '../access/notices-user.ts'
import { changeMembership } from '../membership/change-membership.ts'
import { sendEvent } from '../sending/send-event.ts'
import { sendStateLocally } from '../sending/send-state-locally.ts'
import { createLocally } from './create-locally.ts'

/** A notice from an administrator to a user. */
export type ServerNotice = {
  target: UserId
  type: string
  /** Present: a state event. */
  stateKey?: string | undefined
  content: JsonObject
  /** The administrator and the transaction ID of a request that may be retried. */
  txn?: { sender: UserId; id: string }
}

/**
 * Creates the account that sends server notices, with the configured name and avatar. Does nothing if notices are not
 * configured.
 */
export async function prepareNoticesUser(app: App): Promise<void> {
  const userId = noticesUser(app)
  if (userId === undefined) return
  const { localpart, display_name: displayName, avatar_url: avatar } = app.config.server_notices
  if (!(await findUser(app.database, userId))) {
    // Another process may create it concurrently.
    await createUser(app, { localpart: localpart!, displayName }).catch((error) => {
      if (!(error instanceof MatrixError) || error.errcode !== 'M_USER_IN_USE') throw error
    })
  }
  const wanted = { displayname: displayName, avatar_url: avatar }
  const profile = await loadProfile(app.database, userId)
  for (const [field, value] of Object.entries(wanted))
    if (profile[field] !== value) await setProfileField(app, { userId, field, value })
}

/**
 * Sends a notice to a local user and returns the event ID. The user's notices room is created with the first notice,
 * and the user is invited again after leaving. Throws M_UNKNOWN if notices are not configured or the user is remote,
 * M_NOT_FOUND for unknown users, and as sendEvent.
 * https://spec.matrix.org/v1.19/client-server-api/#server-notices
 */
export async function sendServerNotice(app: App, { target, txn, ...event }: ServerNotice): Promise<EventId> {
  const sender = noticesUser(app)
  if (sender === undefined) throw new MatrixError(400, 'M_UNKNOWN', 'Server notices are not configured on this server')
  await requireOwnUser(app, target)
  const roomId = await roomFor(app, sender, target)
  const { type, stateKey, content } = event
  if (stateKey !== undefined) return sendStateLocally(app, { roomId, sender, type, stateKey, content })
  const once = txn && { txn: { deviceId: null, id: `${txn.sender} ${txn.id}` } }
  return sendEvent(app, { roomId, sender, type, content, ...once })
}

async function requireOwnUser(app: App, target: UserId): Promise<void> {
  if (serverNameOf(target) !== app.serverName)
    throw new MatrixError(400, 'M_UNKNOWN', 'Server notices can only be sent to users of this server')
  const user = await findUser(app.database, target)
  if (!user || user.deactivated_ts !== null) throw new NotFoundError('Unknown user')
}

async function roomFor(app: App, sender: UserId, target: UserId): Promise<RoomId> {
  const known = await findNoticesRoom(app.database, target)
  if (known === undefined) return newRoom(app, sender, target)
  const membership = (await findMembership(app.database, known, target))?.membership
  if (membership !== 'join' && membership !== 'invite')
    await changeMembership(app, known, { sender, target, membership: 'invite' })
  return known
}

/** The user may read and leave, but not write. Of two concurrent requests, one creates the room. */
async function newRoom(app: App, sender: UserId, target: UserId): Promise<RoomId> {
  const { room_name: name, room_topic: topic, avatar_url: avatar } = app.config.server_notices
  try {
    return await createLocally(app, sender, {
      preset: 'private_chat',
      name,
      topic,
      invite: [target],
      initialState: avatar ? [{ type: 'm.room.avatar', state_key: '', content: { url: avatar } }] : [],
      powerLevelOverride: { users_default: -10 },
      alongWith: (tx, roomId) => settle(tx, target, roomId),
    })
  } catch (error) {
    if (!violatesUnique(error, ONE_NOTICES_ROOM)) throw error
    return (await findNoticesRoom(app.database, target))!
  }
}

async function settle(tx: Tx, userId: UserId, roomId: RoomId): Promise<void> {
  await insertNoticesRoom(tx, userId, roomId)
  await lockUser(tx, userId)
  const content = canonicalJson({ tags: { 'm.server_notice': {} } })
  await storeAccountData(tx, userId, { roomId, type: 'm.tag', content })
}
