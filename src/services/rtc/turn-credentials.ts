import { createHmac } from 'node:crypto'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'

export type TurnCredentials = { username: string; password: string; uris: string[]; ttl: number }

/**
 * Returns credentials for the configured TURN servers. With `turn.shared_secret`, the user name is the expiry in
 * seconds and the user, and the password its HMAC, as in coturn's use-auth-secret. Empty without TURN servers. `ttl` in
 * seconds. Throws M_GUEST_ACCESS_FORBIDDEN for guests who may not call.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
 */
export function turnCredentials(
  app: Pick<App, 'config' | 'clock'>,
  { userId, isGuest }: { userId: UserId; isGuest: boolean },
): TurnCredentials | Record<string, never> {
  const { uris, shared_secret: secret, username, password, lifetime, guests } = app.config.turn
  if (isGuest && !guests) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not call')
  const ttl = Math.floor(lifetime / 1000)
  if (uris.length === 0) return {}
  if (secret !== undefined) {
    const name = `${Math.floor(app.clock.now() / 1000) + ttl}:${userId}`
    return { username: name, password: createHmac('sha1', secret).update(name).digest('base64'), uris, ttl }
  }
  return username === undefined || password === undefined ? {} : { username, password, uris, ttl }
}
