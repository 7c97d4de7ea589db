import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { RefreshableTokens } from '../users/issue-tokens.ts'
import { refreshTokens } from '../users/refresh.ts'
import { OAuthError } from './oauth-error.ts'

/**
 * Returns the tokens that replace a refresh token of an OAuth client, and their scope. Throws `invalid_grant` for every
 * token that cannot be refreshed.
 */
export async function refreshOAuthTokens(
  app: Pick<App, 'database' | 'random' | 'clock' | 'config' | 'logger'>,
  request: { refreshToken: string; clientId: string },
): Promise<RefreshableTokens & { scope: string }> {
  try {
    const { scope, ...tokens } = await refreshTokens(app, request)
    return { ...tokens, scope: scope ?? '' }
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_UNKNOWN_TOKEN')
      throw new OAuthError('invalid_grant', error.message)
    throw error
  }
}
