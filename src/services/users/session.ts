import type { Appservice } from '../../core/appservice.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Rate } from '../../core/rate-bucket.ts'
import type { UserRow } from '../../storage/schema/users.ts'

/**
 * The authenticated user and device of a request. `deviceId` is null for application services that act without a
 * device.
 */
export type Session = {
  userId: UserId
  deviceId: DeviceId | null
  /** Whether the user is an administrator and the token permits to act as one. */
  isAdmin: boolean
  isGuest: boolean
  /** https://spec.matrix.org/v1.19/client-server-api/#account-locking */
  isLocked: boolean
  /** Whether the account has expired, see `account_validity` in the configuration. */
  isExpired: boolean
  /** https://spec.matrix.org/v1.19/client-server-api/#account-suspension */
  isSuspended: boolean
  /** Whether what the user sends only appears to succeed. */
  isShadowBanned: boolean
  /** When the account was made, in milliseconds since 1970. */
  createdTs: number
  /** Exempt from rate limits (application services with `rate_limited: false`, exempted users). */
  exemptFromRateLimits: boolean
  /** The limit of messages that an administrator set for the user; undefined: the configured one. */
  messageRate?: Rate | 'unlimited' | undefined
  /** SHA-256 of the access token, its key in storage. */
  tokenHash: string
  /** Scope of the token; null: everything that the user may do. */
  scope: string | null
  /** The stream position after which the request arrived, if it was read with the token. */
  streamPosition?: number
  /** The application service that makes the request; null for users. */
  appservice: Appservice | null
}

/** The part of a scope that an endpoint may need. */
export type NeededScope = 'api' | 'openid' | 'mas'

/** The session of an application service. */
export type AppserviceSession = Session & { appservice: Appservice }

/**
 * Returns the device to which the transaction IDs of a session belong: personal tokens without a device count each as
 * one, by their hash. Null: an application service without a device.
 * https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
 */
export function transactionDevice({ deviceId, tokenHash, appservice }: Session): DeviceId | null {
  return deviceId ?? (appservice ? null : (tokenHash as DeviceId))
}

/** Returns the limit of messages that a user's row sets. A rate of zero removes the limit, as in Synapse. */
export function messageRateOf({
  messages_per_second: perSecond,
  message_burst: burst,
}: Pick<UserRow, 'messages_per_second' | 'message_burst'>): Session['messageRate'] {
  if (perSecond === null || burst === null) return undefined
  return perSecond === 0 ? 'unlimited' : { per_second: perSecond, burst: Math.max(1, burst) }
}
