import type { App } from '../../app.ts'
import type { Rate } from '../../core/rate-bucket.ts'
import type { Session } from './route.ts'

/** The limits of new accounts by rate-limit category. */
const OF_NEW_ACCOUNTS = {
  message: 'messages',
  invite: 'invites',
  join: 'joins',
  room_creation: 'room_creations',
} as const
const HOUR_S = 3600

/**
 * Returns the rate that replaces a category's for a session: the stricter one of a new account, or the one that an
 * administrator set for the user's messages. Undefined: none does. Users of application services are not new.
 */
export function requestRate(
  { config, clock }: Pick<App, 'config' | 'clock'>,
  category: string,
  session: Session | undefined,
): Rate | 'unlimited' | undefined {
  const own = category === 'message' ? session?.messageRate : undefined
  if (!session || own !== undefined || session.appservice) return own
  const { age, ...limits } = config.abuse.new_accounts
  if (clock.now() - session.createdTs >= age || !Object.hasOwn(OF_NEW_ACCOUNTS, category)) return undefined
  const perHour = limits[OF_NEW_ACCOUNTS[category as keyof typeof OF_NEW_ACCOUNTS]]
  const usual = config.rate_limits[category as keyof typeof OF_NEW_ACCOUNTS]
  return { per_second: Math.min(usual.per_second, perHour / HOUR_S), burst: Math.min(usual.burst, perHour) }
}
