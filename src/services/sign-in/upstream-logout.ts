import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { LOGOUT_TOKEN_SECONDS } from '../../infra/sign-in/oidc-provider.ts'
import { UpstreamError, type UpstreamProvider } from '../../infra/sign-in/upstream-provider.ts'
import { deleteDevices } from '../../storage/devices/devices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import {
  deleteOAuthSessionsByUpstream,
  deleteUpstreamSessions,
  findUpstreamSessions,
  useLogoutToken,
} from '../../storage/sign-in/upstream-sessions.ts'
import { lockUser } from '../../storage/users/users.ts'
import { hashToken } from '../users/tokens.ts'
import { isUpstreamName } from './upstream-person.ts'

/** Tokens may be from the future by the tolerance for clocks, so their IDs are kept for longer than they are valid. */
const KEEP_MS = 2 * LOGOUT_TOKEN_SECONDS * 1000

/**
 * Ends what came of sessions that a provider has ended: the web sessions and login tokens, and the devices if the
 * provider's `backchannel_logout` says so. Throws UpstreamError for an invalid or used token, and M_NOT_FOUND.
 * https://openid.net/specs/openid-connect-backchannel-1_0.html
 */
export async function endByProvider(
  app: Pick<App, 'database' | 'clock' | 'logger'>,
  provider: UpstreamProvider | undefined,
  token: string,
): Promise<void> {
  const { config, readLogout } = provider ?? {}
  if (config?.kind !== 'oidc' || config.backchannel_logout === 'ignore' || !readLogout)
    throw new NotFoundError('This identity provider has no back-channel logout')
  const { tokenId, ...named } = await readLogout(token)
  for (const name of [named.subject, named.sid])
    if (name !== undefined && !isUpstreamName(name)) throw new UpstreamError('invalid', 'The name is nobody’s')
  const now = app.clock.now()
  const used = { providerId: config.id, tokenIdHash: hashToken(tokenId), now, expiresTs: now + KEEP_MS }
  const which = { providerId: config.id, ...named }
  await app.database.write(async (tx) => {
    if (!(await useLogoutToken(tx, used))) throw new UpstreamError('refused', 'The logout token was used before')
    // Logins hold the lock of their user.
    const before = await findUpstreamSessions(tx, which)
    for (const userId of [...new Set(before.map(({ user_id }) => user_id))].sort()) await lockUser(tx, userId)
    await endSessions(tx, which, config.backchannel_logout === 'devices')
  })
}

async function endSessions(
  tx: Tx,
  which: Parameters<typeof findUpstreamSessions>[1],
  withDevices: boolean,
): Promise<void> {
  const sessions = await findUpstreamSessions(tx, which)
  const sessionNids = [...new Set(sessions.map(({ session_nid }) => session_nid))]
  if (withDevices) await deleteOAuthSessionsByUpstream(tx, sessionNids)
  await deleteUpstreamSessions(tx, sessionNids)
  if (!withDevices) return
  for (const [userId, all] of Map.groupBy(sessions, ({ user_id }) => user_id))
    await deleteDevices(tx, userId, { only: all.flatMap(({ device_id }) => device_id ?? []) })
}
