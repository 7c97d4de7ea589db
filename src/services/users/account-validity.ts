import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import { serverNameOf, type UserId } from '../../core/ids.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { enqueueJob } from '../../storage/jobs/jobs.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import {
  type ExpiringUser,
  findRenewal,
  limitValidity,
  noteRenewalMail,
  storeRenewalToken,
  takeExpiringUsers,
  updateValidity,
} from '../../storage/users/account-validity.ts'
import { loadMailRecipient } from '../../storage/users/threepids.ts'
import type { NoticeCapabilities } from './mail/account-notices.ts'
import { composeMail, mailLanguage, SEND_MAIL } from './mail/compose-mail.ts'
import { renewalLetter } from './mail/renewal-texts.ts'
import { hashToken } from './tokens.ts'

type Capabilities = Pick<App, 'database'> & NoticeCapabilities

/** The page behind the link. */
export const RENEWAL_PATH = '/account/renew'
const TOKEN_LENGTH = 40
const SWEEP_MS = 60 * 60_000
const BATCH = 200
/** A sign-in to an expired account mails the link again, but not more often. */
const MAIL_INTERVAL_MS = 60 * 60_000

/** 403: the account has expired, as Synapse refuses it. */
export class ExpiredAccountError extends MatrixError {
  constructor() {
    const way = 'Renew it by the link in the mail about it, or ask the administrator of this server'
    super(403, 'ORG_MATRIX_EXPIRED_ACCOUNT', `This account has expired. ${way}`)
  }
}

/** Returns whether an account has expired. Administrators are exempt, so that they do not lock themselves out. */
export function isExpiredAccount(
  { config, clock }: Pick<App, 'config' | 'clock'>,
  { valid_until_ts, is_admin }: Pick<UserRow, 'valid_until_ts' | 'is_admin'>,
): boolean {
  if (config.account_validity.period === undefined || valid_until_ts === null || is_admin) return false
  return valid_until_ts <= clock.now()
}

/** Whether an account may be used: it is neither deactivated nor locked, and has not expired. */
export function isUsableAccount(
  app: Pick<App, 'config' | 'clock'>,
  user: Pick<UserRow, 'deactivated_ts' | 'locked' | 'valid_until_ts' | 'is_admin'>,
): boolean {
  return user.deactivated_ts === null && !user.locked && !isExpiredAccount(app, user)
}

/** Throws 401 M_USER_LOCKED for a locked account, and ExpiredAccountError. */
export function requireNotBarred(
  app: Pick<App, 'config' | 'clock'>,
  user: Pick<UserRow, 'locked' | 'valid_until_ts' | 'is_admin'>,
): void {
  if (user.locked) throw new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked')
  if (isExpiredAccount(app, user)) throw new ExpiredAccountError()
}

/** Returns the end of the validity of an account that is created or renewed now; null: it has none. */
export function validFromNow({ config, clock }: Pick<App, 'config' | 'clock'>): number | null {
  const { period } = config.account_validity
  return period === undefined ? null : clock.now() + period
}

/** Throws ExpiredAccountError for an expired account, whose user has signed in, and mails the link that renews it. */
export async function refuseExpired(app: Capabilities, user: UserRow): Promise<void> {
  if (!isExpiredAccount(app, user)) return
  await mailRenewalLink(app, user.user_id)
  throw new ExpiredAccountError()
}

/** Mails a user the link that renews the account, unless that was done within the last hour. */
export async function mailRenewalLink(app: Capabilities, userId: UserId): Promise<void> {
  if (!mailsLinks(app)) return
  const now = app.clock.now()
  await app.database.write(async (tx) => {
    const user = await noteRenewalMail(tx, userId, { now, since: now - MAIL_INTERVAL_MS })
    if (user) await enqueueRenewalMail(app, tx, user)
  })
}

/** Returns the account that a link renews. Throws M_NOT_FOUND for an unknown or used link. */
export async function findRenewable(
  app: Pick<App, 'database'>,
  token: string,
): Promise<{ userId: UserId; validUntil: number }> {
  const found = await findRenewal(app.database, hashToken(token))
  if (!found) throw usedLink()
  return { userId: found.user_id, validUntil: found.valid_until_ts }
}

/** Renews an account by a mailed link, which is used up by it. Returns the new end. Throws M_NOT_FOUND. */
export async function renewByLink(app: Capabilities, token: string): Promise<number> {
  const until = validFromNow(app)
  if (until === null) throw new NotFoundError('Accounts of this server do not expire')
  await app.database.write(async (tx) => {
    const found = await findRenewal(tx, hashToken(token))
    if (!found) throw usedLink()
    await updateValidity(tx, found.user_id, { until, mails: true, now: app.clock.now() })
  })
  return until
}

/**
 * Sets the validity of an account for an administrator; default: one period from now. Returns the new end. Throws
 * M_NOT_FOUND for unknown users, and M_INVALID_PARAM for those of other servers, or where accounts do not expire.
 */
export async function setAccountValidity(
  app: Capabilities,
  { userId, until, mails }: { userId: UserId; until: number | undefined; mails: boolean },
): Promise<number> {
  const end = until ?? validFromNow(app)
  if (end === null) throw new InvalidParamError('Accounts of this server do not expire: set account_validity.period')
  if (serverNameOf(userId) !== app.serverName) throw new InvalidParamError('This user is not on this server')
  const now = app.clock.now()
  const isSet = await app.database.write((tx) => updateValidity(tx, userId, { until: end, mails, now }))
  if (!isSet) throw new NotFoundError('Unknown user')
  return end
}

/** Lets accounts expire and mails links, now and every hour until the server stops; any number of processes may. */
export function startAccountValidity(app: App): { stop(): Promise<void> } {
  const options = { every: SWEEP_MS, failure: 'sweep of account validity failed', level: 'error' } as const
  return repeat(app, options, () => sweepAccountValidity(app))
}

/** Gives accounts without an end of their validity one, and mails the links that are due. */
export async function sweepAccountValidity(app: Capabilities & Pick<App, 'stopping'>): Promise<void> {
  const until = validFromNow(app)
  if (until === null) return
  const isFull = (count: number) => count === BATCH && !app.stopping.aborted
  while (isFull(await app.database.write((tx) => limitValidity(tx, { until, limit: BATCH }))));
  if (mailsLinks(app)) while (isFull(await mailDueLinks(app)));
}

async function mailDueLinks(app: Capabilities): Promise<number> {
  const now = app.clock.now()
  const before = now + app.config.account_validity.mail_before
  return app.database.write(async (tx) => {
    const users = await takeExpiringUsers(tx, { before, limit: BATCH, now })
    for (const user of users) await enqueueRenewalMail(app, tx, user)
    return users.length
  })
}

function mailsLinks({ config, mailer }: Pick<App, 'config' | 'mailer'>): boolean {
  return config.account_validity.period !== undefined && config.account_validity.renew_by_mail && mailer !== undefined
}

async function enqueueRenewalMail(
  app: NoticeCapabilities,
  tx: Tx,
  { user_id: userId, valid_until_ts: validUntil, language: tag }: ExpiringUser,
): Promise<void> {
  const recipient = await loadMailRecipient(tx, userId)
  if (!recipient || recipient.addresses.length === 0) return
  const { serverName } = app
  const now = app.clock.now()
  const token = app.random.token(TOKEN_LENGTH)
  await storeRenewalToken(tx, userId, hashToken(token))
  const link = `${app.config.public_base_url}${RENEWAL_PATH}/${token}`
  const language = mailLanguage(tag)
  const letter = renewalLetter(language, { serverName, userId, validUntil, isExpired: validUntil <= now, link })
  for (const to of recipient.addresses) {
    const id = `renewal.${app.random.token(24)}`
    await enqueueJob(tx, { kind: SEND_MAIL, key: id, payload: composeMail(app, { to, language, letter, id }), now })
  }
}

function usedLink(): NotFoundError {
  return new NotFoundError('This link is invalid, or was used before')
}
