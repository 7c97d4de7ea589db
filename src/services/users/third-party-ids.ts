import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { canonicalAddress } from '../../core/text/email-address.ts'
import { deleteThreepid, insertThreepid, type Threepid } from '../../storage/users/threepids.ts'
import { lockUser } from '../../storage/users/users.ts'
import { type ThreepidCredentials, takeEmailProof } from './email-proof.ts'
import { enqueueNotice, type NoticeCapabilities } from './mail/account-notices.ts'

/**
 * Adds a verified address to a user. Throws M_THREEPID_AUTH_FAILED if it is not verified, and M_THREEPID_IN_USE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd
 */
export async function addThreepid(
  app: Pick<App, 'database'> & NoticeCapabilities,
  userId: UserId,
  credentials: ThreepidCredentials,
): Promise<void> {
  const now = app.clock.now()
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const proven = await takeEmailProof(tx, { credentials, purpose: 'add', now })
    if (!proven || (proven.userId !== undefined && proven.userId !== userId))
      throw new MatrixError(400, 'M_THREEPID_AUTH_FAILED', 'The address has not been confirmed')
    if (!(await insertThreepid(tx, { ...proven.threepid, user_id: userId, added_ts: now })))
      throw new MatrixError(400, 'M_THREEPID_IN_USE', 'This address belongs to another account')
    const { address } = proven.threepid
    await enqueueNotice(app, tx, { userId, notice: { kind: 'email_added', address } })
  })
}

/** Removes an address from a user, if present. */
export async function removeThreepid(
  app: Pick<App, 'database'> & NoticeCapabilities,
  userId: UserId,
  threepid: Threepid,
): Promise<void> {
  const canonical = { ...threepid, address: canonicalAddress(threepid) }
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const isRemoved = await deleteThreepid(tx, userId, canonical)
    if (!isRemoved || canonical.medium !== 'email') return
    await enqueueNotice(app, tx, { userId, notice: { kind: 'email_removed', address: canonical.address } })
  })
}
