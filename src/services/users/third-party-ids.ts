import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { deleteThreepid, insertThreepid, type Threepid, takeThreepidSession } from '../../storage/threepids.ts'
import { lockUser } from '../../storage/users.ts'
import { emailAddress } from './email-address.ts'

/** What a client shows to have proven an address. */
export type ThreepidCredentials = { sid: string; client_secret: string }

/** Gives a user the address that was proven. Throws M_THREEPID_AUTH_FAILED without a proof, and M_THREEPID_IN_USE. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd */
export async function addThreepid(
  app: Pick<App, 'database' | 'clock'>,
  userId: UserId,
  { sid: sessionId, client_secret: clientSecret }: ThreepidCredentials,
): Promise<void> {
  const now = app.clock.now()
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const proven = await takeThreepidSession(tx, { sessionId, clientSecret, now })
    if (!proven) throw new MatrixError(400, 'M_THREEPID_AUTH_FAILED', 'The address has not been confirmed')
    if (!(await insertThreepid(tx, { ...proven, user_id: userId, added_ts: now })))
      throw new MatrixError(400, 'M_THREEPID_IN_USE', 'This address belongs to another account')
  })
}

/** Takes an address from a user; one that the user does not have is as good as taken. */
export async function removeThreepid(
  app: Pick<App, 'database'>,
  userId: UserId,
  { medium, address }: Threepid,
): Promise<void> {
  const canonical = medium === 'email' ? (emailAddress(address) ?? address) : address
  await app.database.write((tx) => deleteThreepid(tx, userId, { medium, address: canonical }))
}
