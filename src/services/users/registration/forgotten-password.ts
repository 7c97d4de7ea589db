import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import type { EmailAddress } from '../../../core/text/email-address.ts'
import { findLinkedSession, findThreepidOwner, markThreepidValidated } from '../../../storage/users/threepids.ts'
import { findEmailProof, type ProofLink, requestEmailProof, takeEmailProof } from '../email-proof.ts'
import type { MailLanguage } from '../mail/compose-mail.ts'
import { checkNewPassword } from '../new-password.ts'
import { setPasswordHash } from '../set-password.ts'
import { hashToken } from '../tokens.ts'

const SECRET_LENGTH = 32

/**
 * Mails a link with which the owner of an address sets a new password. `pathOf`: the page behind it. An address without
 * an account gets a mail that says so. Throws as requestEmailProof.
 */
export async function mailPasswordLink(
  app: Parameters<typeof requestEmailProof>[0],
  request: { address: EmailAddress; language: MailLanguage; pathOf: (link: ProofLink) => string },
): Promise<void> {
  const clientSecret = app.random.token(SECRET_LENGTH)
  await requestEmailProof(app, { ...request, purpose: 'password', clientSecret, sendAttempt: 1, nextLink: undefined })
}

/** Returns the account of such a link. Throws M_NOT_FOUND for an unknown, used or expired link. */
export async function findForgetfulUser(app: Pick<App, 'database' | 'clock'>, link: ProofLink): Promise<UserId> {
  const { purpose, userId } = await findEmailProof(app, link)
  if (purpose !== 'password' || userId === undefined) throw invalidLink()
  return userId
}

/**
 * Sets a new password by a mailed link, which is used up by it, and ends all sessions. A second factor stays. Throws
 * M_WEAK_PASSWORD, M_NOT_FOUND for an unknown, used or expired link, and as setPasswordHash.
 */
export async function setForgottenPassword(
  app: Pick<App, 'passwordHasher'> & Parameters<typeof setPasswordHash>[0],
  { link, password }: { link: ProofLink; password: string },
): Promise<void> {
  const userId = await findForgetfulUser(app, link)
  checkNewPassword(app, password)
  const hash = await app.passwordHasher.hash(password)
  await setPasswordHash(app, {
    userId,
    hash,
    logOutDevices: true,
    async prove(tx) {
      const now = app.clock.now()
      const session = await findLinkedSession(tx, { sessionId: link.sessionId, tokenHash: hashToken(link.token), now })
      if (!session) throw invalidLink()
      await markThreepidValidated(tx, session.session_id, now)
      const credentials = { sid: session.session_id, client_secret: session.client_secret }
      const proven = await takeEmailProof(tx, { credentials, purpose: 'password', now })
      // The address may have a new owner since the mail was sent.
      if (!proven || (await findThreepidOwner(tx, proven.threepid)) !== userId) throw invalidLink()
    },
  })
}

function invalidLink(): NotFoundError {
  return new NotFoundError('This link is invalid or has expired')
}
