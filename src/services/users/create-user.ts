import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { localpartOf, type UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { storeProfile } from '../../storage/users/profiles.ts'
import { takeRegistrationToken } from '../../storage/users/registration-tokens.ts'
import { insertThreepid } from '../../storage/users/threepids.ts'
import { insertUser, makeGuestUser } from '../../storage/users/users.ts'
import { validFromNow } from './account-validity.ts'
import type { MailLanguage } from './mail/compose-mail.ts'
import { checkNewPassword } from './new-password.ts'
import { userIdForNewName, userInUse } from './user-names.ts'

export type NewAccount = {
  localpart: string
  /** Neither this nor `passwordHash`: an account without password login. */
  password?: string | undefined
  /** The hash of an already validated password. */
  passwordHash?: string | undefined
  /** Whether the LDAP directory checks the password. */
  inDirectory?: boolean
  admin?: boolean
  guest?: boolean
  /** Turns the guest of this name into a user instead of adding one. */
  replacesGuest?: boolean
  /** Default: the localpart; for guests the display name that they have set, if any. */
  displayName?: string | undefined
  /** Counts one use of this registration token. Registration fails if none is left. */
  registrationToken?: string | undefined
  /** An e-mail address that the user has verified. */
  email?: string | undefined
  /** A phone number that the user has verified. */
  phone?: string | undefined
  /** The language of mails to the user, if known. */
  language?: MailLanguage | undefined
}

type Capabilities = Pick<App, 'config' | 'serverName' | 'clock' | 'database' | 'passwordHasher'>

/**
 * Creates an account; `andThen` runs in the same transaction. The caller checks whether registration is allowed. Throws
 * M_INVALID_USERNAME, M_USER_IN_USE, M_WEAK_PASSWORD, M_THREEPID_IN_USE, and M_FORBIDDEN for a used-up registration
 * token.
 */
export async function createUser(
  app: Capabilities,
  account: NewAccount,
  andThen: (tx: Tx, userId: UserId) => Promise<void> = async () => {},
): Promise<UserId> {
  const userId = userIdForNewName(app, account.localpart)
  if (account.password !== undefined) checkNewPassword(app, account.password)
  const passwordHash =
    account.password === undefined ? (account.passwordHash ?? null) : await app.passwordHasher.hash(account.password)
  const now = app.clock.now()
  await app.database.write(async (tx) => {
    const isMade = account.replacesGuest
      ? await makeGuestUser(tx, userId, passwordHash)
      : await insertUser(tx, {
          user_id: userId,
          password_hash: passwordHash,
          in_directory: account.inDirectory ?? false,
          is_admin: account.admin ?? false,
          is_guest: account.guest ?? false,
          created_ts: now,
          language: account.language ?? null,
          valid_until_ts: account.guest ? null : validFromNow(app),
        })
    if (!isMade) throw userInUse()
    if (account.registrationToken !== undefined) await useToken(tx, account.registrationToken, now)
    if (account.email !== undefined) await giveAddress(tx, userId, { medium: 'email', address: account.email, now })
    if (account.phone !== undefined) await giveAddress(tx, userId, { medium: 'msisdn', address: account.phone, now })
    const isNameless = account.guest || account.replacesGuest
    const displayName = account.displayName ?? (isNameless ? undefined : localpartOf(userId))
    if (displayName !== undefined) {
      await storeProfile(tx, { userId, profile: { displayname: displayName }, changedField: 'displayname' })
    }
    await andThen(tx, userId)
  })
  return userId
}

async function useToken(tx: Tx, token: string, now: number): Promise<void> {
  if (await takeRegistrationToken(tx, token, now)) return
  throw new MatrixError(403, 'M_FORBIDDEN', 'The registration token has been used up')
}

async function giveAddress(
  tx: Tx,
  userId: UserId,
  { medium, address, now }: { medium: 'email' | 'msisdn'; address: string; now: number },
): Promise<void> {
  if (await insertThreepid(tx, { medium, address, user_id: userId, validated_ts: now, added_ts: now })) return
  const what = medium === 'email' ? 'e-mail address' : 'phone number'
  throw new MatrixError(400, 'M_THREEPID_IN_USE', `This ${what} belongs to an account`)
}
