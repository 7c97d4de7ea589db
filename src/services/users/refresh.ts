import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { confirmRefreshToken, deleteUnusedSuccessors, lockRefreshToken } from '../../storage/refresh-tokens.ts'
import { findUser } from '../../storage/users.ts'
import { issueTokens, type TokenPair } from './device-login.ts'
import { hashToken } from './tokens.ts'

/**
 * New tokens for a refresh token. The old pair goes on working until one of the new tokens is used, so a lost answer can be asked for again.
 * Throws 401 M_UNKNOWN_TOKEN, M_USER_LOCKED. https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
 */
export async function refreshTokens(
  app: Pick<App, 'database' | 'random' | 'clock' | 'config'>,
  refreshToken: string,
): Promise<TokenPair> {
  const tokenHash = hashToken(refreshToken)
  return app.database.write(async (tx) => {
    const token = await lockRefreshToken(tx, tokenHash)
    const user = token && (await findUser(tx, token.user_id))
    if (!token || !user || user.deactivated_ts !== null) {
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The refresh token is not known')
    }
    if (user.locked) {
      throw new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true })
    }
    if (token.replaces !== null) await confirmRefreshToken(tx, tokenHash)
    await deleteUnusedSuccessors(tx, tokenHash)
    const device = { userId: token.user_id, deviceId: token.device_id }
    return issueTokens(app, tx, { ...device, refreshable: true, replaces: tokenHash })
  })
}
