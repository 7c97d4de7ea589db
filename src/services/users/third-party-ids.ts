import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { canonicalAddress, parseEmailAddress } from '../../core/text/email-address.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { ThreepidRow } from '../../storage/schema/third-party-ids.ts'
import {
  deleteThreepid,
  findThreepidOwner,
  insertThreepid,
  loadThreepids,
  markThreepidValidated,
  type Threepid,
} from '../../storage/users/threepids.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { type EmailProof, findEmailProof, type ThreepidCredentials, takeEmailProof } from './email-proof.ts'
import { parseMsisdn } from './find-account.ts'
import { enqueueNotice, type NoticeCapabilities } from './mail/account-notices.ts'
import type { ProofPurpose } from './mail/email-proof-texts.ts'
import type { AccountNotice } from './mail/notice-texts.ts'

/** The client secret of links that the account page requests: their confirmation adds the address at once. */
export const ACCOUNT_PAGE_SECRET = 'account-page'

type Capabilities = Pick<App, 'database'> & NoticeCapabilities

/**
 * Adds a verified address to a user. Throws M_THREEPID_AUTH_FAILED if it is not verified, and M_THREEPID_IN_USE.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd
 */
export async function addThreepid(app: Capabilities, userId: UserId, credentials: ThreepidCredentials): Promise<void> {
  await app.database.write((tx) => addProven(app, tx, { userId, purpose: 'add', credentials }))
}

/**
 * Marks an address as verified by the link that was sent to it, and adds it if the account page has asked for it.
 * Throws M_NOT_FOUND for an unknown link, and M_THREEPID_IN_USE.
 */
export async function confirmEmail(app: Capabilities, link: { sessionId: string; token: string }): Promise<EmailProof> {
  const proof = await findEmailProof(app, link)
  const { session_id, purpose, userId } = proof
  await app.database.write(async (tx) => {
    await markThreepidValidated(tx, session_id, app.clock.now())
    if (purpose !== 'account' || userId === undefined) return
    const credentials = { sid: session_id, client_secret: ACCOUNT_PAGE_SECRET }
    await addProven(app, tx, { userId, purpose, credentials })
  })
  return proof
}

async function addProven(
  app: Capabilities,
  tx: Tx,
  { userId, purpose, credentials }: { userId: UserId; purpose: ProofPurpose; credentials: ThreepidCredentials },
): Promise<void> {
  const now = app.clock.now()
  await lockUser(tx, userId)
  const proven = await takeEmailProof(tx, { credentials, purpose, now })
  const isOther = proven?.userId !== undefined && proven.userId !== userId
  const isActive = (await findUser(tx, userId))?.deactivated_ts === null
  if (!proven || isOther || !isActive)
    throw new MatrixError(400, 'M_THREEPID_AUTH_FAILED', 'The address has not been confirmed')
  await insertOwned(app, tx, { ...proven.threepid, user_id: userId, added_ts: now })
}

/**
 * Gives a user an address without a proof, for an administrator. Throws M_INVALID_PARAM for an invalid address and
 * a deactivated user, and M_THREEPID_IN_USE also if it is the user's already.
 */
export async function giveThreepid(app: Capabilities, userId: UserId, threepid: Threepid): Promise<ThreepidRow> {
  const valid = validThreepid(threepid)
  const now = app.clock.now()
  const row = { ...valid, user_id: userId, validated_ts: now, added_ts: now }
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    await requireActive(tx, userId)
    if ((await findThreepidOwner(tx, valid)) !== undefined) throw threepidInUse()
    await insertOwned(app, tx, row)
  })
  return row
}

/** Removes an address from a user, if present. */
export async function removeThreepid(app: Capabilities, userId: UserId, threepid: Threepid): Promise<void> {
  const canonical = { ...threepid, address: canonicalAddress(threepid) }
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const isRemoved = await deleteThreepid(tx, userId, canonical)
    if (isRemoved) await enqueueNotice(app, tx, { userId, notice: addressNotice('removed', canonical) })
  })
}

/**
 * Gives a user exactly these addresses, in the transaction of an administrator's change, which has locked the user.
 * Throws M_THREEPID_IN_USE, and M_INVALID_PARAM for an invalid address and for a new one of a deactivated user.
 */
export async function replaceThreepids(
  app: NoticeCapabilities,
  tx: Tx,
  { userId, threepids }: { userId: UserId; threepids: readonly Threepid[] },
): Promise<void> {
  const wanted = threepids.map(validThreepid)
  const owned = await loadThreepids(tx, userId)
  const isIn = (list: readonly Threepid[], { medium, address }: Threepid) =>
    list.some((other) => other.medium === medium && other.address === address)
  for (const threepid of owned.filter((each) => !isIn(wanted, each))) {
    await deleteThreepid(tx, userId, threepid)
    await enqueueNotice(app, tx, { userId, notice: addressNotice('removed', threepid) })
  }
  const now = app.clock.now()
  const added = wanted.filter((each) => !isIn(owned, each))
  if (added.length > 0) await requireActive(tx, userId)
  for (const threepid of added)
    await insertOwned(app, tx, { ...threepid, user_id: userId, validated_ts: now, added_ts: now })
}

async function insertOwned(app: NoticeCapabilities, tx: Tx, threepid: ThreepidRow): Promise<void> {
  if (!(await insertThreepid(tx, threepid))) throw threepidInUse()
  await enqueueNotice(app, tx, { userId: threepid.user_id, notice: addressNotice('added', threepid) })
}

async function requireActive(tx: Tx, userId: UserId): Promise<void> {
  if ((await findUser(tx, userId))?.deactivated_ts !== null)
    throw new InvalidParamError('Deactivated users get no addresses. Reactivate the account first.')
}

function threepidInUse(): MatrixError {
  return new MatrixError(400, 'M_THREEPID_IN_USE', 'This address belongs to another account')
}

function validThreepid({ medium, address }: Threepid): Threepid {
  const valid = medium === 'email' ? parseEmailAddress(address) : medium === 'msisdn' ? parseMsisdn(address) : undefined
  if (valid === undefined)
    throw new InvalidParamError(`threepids: ${medium} ${address} is not an e-mail address or phone number`)
  return { medium, address: valid }
}

function addressNotice(what: 'added' | 'removed', { medium, address }: Threepid): AccountNotice {
  if (medium === 'email') return { kind: `email_${what}`, address }
  return { kind: `phone_${what}`, number: `+${address}` }
}
