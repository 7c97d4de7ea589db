import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import type { Tx } from '../../../storage/engine/database.ts'
import { enqueueJob } from '../../../storage/jobs/jobs.ts'
import { loadMailRecipient } from '../../../storage/users/threepids.ts'
import { updateSignInMails } from '../../../storage/users/users.ts'
import { composeMail, mailLanguage, SEND_MAIL } from './compose-mail.ts'
import { type AccountNotice, noticeLetter } from './notice-texts.ts'

/** The components that a notice uses. */
export type NoticeCapabilities = Pick<App, 'config' | 'serverName' | 'mailer' | 'clock' | 'random'>

const MESSAGE_ID_LENGTH = 24

/**
 * Enqueues mails that tell a user of a change of the account, in the transaction that makes the change. They go to all
 * addresses of the account except one that was just added, and to one that was just removed. Without mail, without an
 * address, or if the operator or, for sign-ins, the user has turned these mails off,
 * nothing is enqueued.
 */
export async function enqueueNotice(
  app: NoticeCapabilities,
  tx: Tx,
  { userId, notice }: { userId: UserId; notice: AccountNotice },
): Promise<void> {
  const { sign_in: tellsSignIns, account_changes: tellsChanges } = app.config.email.notices
  if (!app.mailer || !(notice.kind === 'sign_in' ? tellsSignIns : tellsChanges)) return
  const recipient = await loadMailRecipient(tx, userId)
  if (!recipient || (notice.kind === 'sign_in' && !recipient.sign_in_mails)) return
  const now = app.clock.now()
  const language = mailLanguage(recipient.language)
  const letter = noticeLetter(language, notice, {
    userId,
    at: now,
    accountPage: `${app.config.public_base_url}/account`,
  })
  for (const to of recipientsOf(notice, recipient.addresses)) {
    const id = `notice.${app.random.token(MESSAGE_ID_LENGTH)}`
    await enqueueJob(tx, { kind: SEND_MAIL, key: id, payload: composeMail(app, { to, language, letter, id }), now })
  }
}

/** Returns whether a user gets mails about sign-ins; undefined: the operator or a missing address prevents them. */
export async function wantsSignInMails(
  { config, mailer, database }: Pick<App, 'config' | 'mailer' | 'database'>,
  userId: UserId,
): Promise<boolean | undefined> {
  if (!mailer || !config.email.notices.sign_in) return undefined
  const recipient = await loadMailRecipient(database, userId)
  return recipient?.addresses.length ? recipient.sign_in_mails : undefined
}

/** Turns mails about sign-ins on or off for a user. */
export async function setSignInMails(app: Pick<App, 'database'>, userId: UserId, wanted: boolean): Promise<void> {
  await app.database.write((tx) => updateSignInMails(tx, userId, wanted))
}

function recipientsOf(notice: AccountNotice, addresses: readonly string[]): readonly string[] {
  if (notice.kind === 'email_added') return addresses.filter((address) => address !== notice.address)
  return notice.kind === 'email_removed' ? [...new Set([...addresses, notice.address])] : addresses
}
