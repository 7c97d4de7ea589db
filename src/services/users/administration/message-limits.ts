import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { updateMessageLimit } from '../../../storage/users/users.ts'
import { findLocalUser } from '../account-moderation.ts'

/** A limit of the messages of one user, in place of rate_limits.message. `messages_per_second` 0: no limit. */
export type MessageLimit = { messages_per_second: number; burst_count: number }

type Capabilities = Pick<App, 'database' | 'serverName'>

/** Returns the limit of a user; undefined: the configured one applies. Throws as findLocalUser. */
export async function findMessageLimit(app: Capabilities, userId: UserId): Promise<MessageLimit | undefined> {
  const { messages_per_second, message_burst } = await findLocalUser(app, userId)
  if (messages_per_second === null || message_burst === null) return undefined
  return { messages_per_second, burst_count: message_burst }
}

/** Sets the limit of a user; null: the configured one applies. Throws as findLocalUser. */
export async function setMessageLimit(app: Capabilities, userId: UserId, limit: MessageLimit | null): Promise<void> {
  await findLocalUser(app, userId)
  const stored = limit && { perSecond: limit.messages_per_second, burst: limit.burst_count }
  await app.database.write((tx) => updateMessageLimit(tx, userId, stored))
}
