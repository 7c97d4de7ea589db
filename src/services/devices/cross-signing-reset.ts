import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { storeCrossSigningReset } from '../../storage/devices/cross-signing-resets.ts'
import { lockUser } from '../../storage/users/users.ts'

/** How long the clients of a user may replace the cross-signing keys after the user has permitted it. */
const RESET_WINDOW_MS = 10 * 60_000

/**
 * Permits the user's clients to replace the cross-signing keys without the password, once and for ten minutes, and returns until when: see
 * upload-cross-signing-keys.ts.
 * https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication
 */
export async function allowCrossSigningReset(app: Pick<App, 'database' | 'clock'>, userId: UserId): Promise<number> {
  const until = app.clock.now() + RESET_WINDOW_MS
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await storeCrossSigningReset(tx, userId, until)
  })
  return until
}
