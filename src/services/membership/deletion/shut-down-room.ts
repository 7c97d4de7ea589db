import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomAlias, RoomId, UserId } from '../../../core/ids.ts'
import { isPresent } from '../../../core/rooms/membership.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { moveAliases } from '../../../storage/rooms/aliases.ts'
import { hideRoom } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadLocalMembers } from '../../../storage/rooms/removal/room-removals.ts'
import { createLocally } from '../../rooms/lifecycle/create-locally.ts'
import { joinLocally } from '../../rooms/membership/join-locally.ts'
import { sendEvent } from '../../rooms/sending/send-event.ts'
import { leaveRoom } from '../leave-room.ts'

/** The progress of a shutdown; the names are those of Synapse's admin API. */
export type Shutdown = {
  kicked_users: UserId[]
  failed_to_kick_users: UserId[]
  local_aliases: RoomAlias[]
  new_room_id: RoomId | null
}

/** The room to which members are moved. `key`: unique for the shutdown, so that its message is sent once. */
export type Replacement = { creator: UserId; name: string; message: string; key: string }

/** Users removed at once: enough to share transactions, few enough to leave capacity for others. */
const BATCH = 16
/**
 * The list of users is written each time that it has grown by this part. So the writes of a large room are not quadratic.
 */
const NAMED_SHARE = 4

type Work = {
  replacement: Replacement | undefined
  /** Updated while it runs. */
  shutdown: Shutdown
  save: (tx: Tx) => Promise<void>
}

/**
 * Removes the local members of a room, invited and knocking ones too, and hides it from them. With a replacement they
 * join that, and the local aliases point to it. Does nothing for a room that this server does not know.
 */
export async function shutDownRoom(app: App, roomId: RoomId, work: Work): Promise<void> {
  const members = await loadLocalMembers(app.database, roomId)
  if (members.length === 0) return
  if (work.replacement) await createReplacement(app, work.replacement, work)
  const present = members.filter(({ membership }) => isPresent(membership)).map(({ user_id }) => user_id)
  for (let start = 0; start < present.length; ) {
    const share = Math.max(BATCH, Math.floor(start / NAMED_SHARE))
    await removeMembers(app, roomId, present.slice(start, start + share), work)
    start += share
  }
  const { shutdown, save } = work
  const to = shutdown.new_room_id
  if (to === null) return
  await app.database.write(async (tx) => {
    const moved = await moveAliases(tx, roomId, to)
    shutdown.local_aliases = [...new Set([...shutdown.local_aliases, ...moved])]
    await save(tx)
  })
}

/** Members cannot write there. The id is stored with the room, so that a shutdown that goes on finds it. */
async function createReplacement(
  app: App,
  { creator, name, message, key }: Replacement,
  { shutdown, save }: Work,
): Promise<void> {
  if (shutdown.new_room_id === null)
    await createLocally(app, creator, {
      preset: 'public_chat',
      name,
      powerLevelOverride: { users_default: -10 },
      alongWith: (tx, roomId) => {
        shutdown.new_room_id = roomId
        return save(tx)
      },
    })
  const content = { msgtype: 'm.text', body: message }
  const txn = { deviceId: null, id: `shutdown ${key}` }
  await sendEvent(app, { roomId: shutdown.new_room_id!, sender: creator, type: 'm.room.message', content, txn })
}

/** The list names the users before they leave, so that it is complete even if the process dies in between. */
async function removeMembers(app: App, roomId: RoomId, users: readonly UserId[], work: Work): Promise<void> {
  const { shutdown, save } = work
  const named = new Set(users)
  shutdown.failed_to_kick_users = shutdown.failed_to_kick_users.filter((user) => !named.has(user))
  shutdown.kicked_users = [...new Set([...shutdown.kicked_users, ...users])]
  await app.database.write(save)
  const failed = new Set<UserId>()
  for (let start = 0; start < users.length; start += BATCH) {
    app.stopping.throwIfAborted()
    const some = users.slice(start, start + BATCH)
    const removed = await Promise.all(some.map((userId) => removeMember(app, roomId, userId, work)))
    for (const [place, userId] of some.entries()) if (!removed[place]) failed.add(userId)
  }
  if (failed.size === 0) return
  shutdown.kicked_users = shutdown.kicked_users.filter((user) => !failed.has(user))
  shutdown.failed_to_kick_users.push(...failed)
  await app.database.write(save)
}

async function removeMember(app: App, roomId: RoomId, userId: UserId, { shutdown }: Work): Promise<boolean> {
  try {
    // First, because a shutdown that goes on looks only at users who are still there.
    const to = shutdown.new_room_id
    if (to !== null) await joinLocally(app, { userId, isGuest: false, room: to, content: {} })
    await leaveRoom(app, { userId, roomId, content: {} })
    await app.database.write((tx) => hideRoom(tx, roomId, userId))
    return true
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    app.logger.warn({ err: error, room_id: roomId, user_id: userId }, 'removal of member from deleted room failed')
    return false
  }
}
