import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { countSecondFactors, deleteSecondFactors } from '../../storage/users/second-factors.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { enqueueNotice, type NoticeCapabilities } from '../users/mail/account-notices.ts'
import { isSecondFactorRequired } from '../users/second-factor-policy.ts'
import { issueRecoveryCodes } from './recovery-codes.ts'
import { noSuchFactor, secondFactorIsRequired, secondFactorsAreOff } from './second-factor-errors.ts'

export type SecondFactorCapabilities = Pick<App, 'database' | 'random' | 'clock' | 'config'> & NoticeCapabilities

export type FactorKind = 'totp' | 'passkey'

/** The recovery codes that a user gets with the first second factor, to be shown once; undefined with further ones. */
export type FactorAdded = { recoveryCodes: string[] | undefined }

/** Throws if the operator has turned second factors off. */
export function requireEnrolment({ config }: Pick<App, 'config'>): void {
  if (config.second_factor === 'off') throw secondFactorsAreOff()
}

/**
 * Adds a second factor, which `add` stores while the user is locked. The first one brings recovery codes. Throws
 * M_NOT_FOUND if the account was deactivated.
 */
export async function addSecondFactor(
  app: SecondFactorCapabilities,
  { userId, factor, add }: { userId: UserId; factor: FactorKind; add: (tx: Tx) => Promise<void> },
): Promise<FactorAdded> {
  requireEnrolment(app)
  return app.database.write(async (tx) => {
    await lockAccount(tx, userId)
    await add(tx)
    await enqueueNotice(app, tx, { userId, notice: { kind: 'second_factor_added', factor } })
    const { recoveryCodes } = await countSecondFactors(tx, userId)
    return { recoveryCodes: recoveryCodes > 0 ? undefined : await issueRecoveryCodes(app, tx, userId) }
  })
}

/**
 * Removes a second factor, which `remove` deletes while the user is locked. The recovery codes go with the last one.
 * Throws if the policy requires it.
 */
export async function removeSecondFactor(
  app: SecondFactorCapabilities,
  { userId, factor, remove }: { userId: UserId; factor: FactorKind; remove: (tx: Tx) => Promise<void> },
): Promise<void> {
  await app.database.write(async (tx) => {
    const user = await lockAccount(tx, userId)
    await remove(tx)
    await enqueueNotice(app, tx, { userId, notice: { kind: 'second_factor_removed', factor } })
    const { totp, passkeys } = await countSecondFactors(tx, userId)
    if (totp || passkeys > 0) return
    if (isSecondFactorRequired(app, user)) throw secondFactorIsRequired()
    await deleteSecondFactors(tx, userId)
  })
}

/** Gives a user new recovery codes; earlier ones end. Throws if there is no second factor. */
export async function renewRecoveryCodes(app: SecondFactorCapabilities, userId: UserId): Promise<string[]> {
  return app.database.write(async (tx) => {
    await lockAccount(tx, userId)
    const { totp, passkeys } = await countSecondFactors(tx, userId)
    if (!totp && passkeys === 0) throw noSuchFactor()
    await enqueueNotice(app, tx, { userId, notice: { kind: 'second_factor_added', factor: 'recovery_codes' } })
    return issueRecoveryCodes(app, tx, userId)
  })
}

/**
 * Removes all second factors of a user who lost them, for the operator. Returns whether there were any. Throws
 * M_NOT_FOUND for unknown and deactivated users.
 */
export async function resetSecondFactors(app: SecondFactorCapabilities, userId: UserId): Promise<boolean> {
  return app.database.write(async (tx) => {
    await lockAccount(tx, userId)
    const { totp, passkeys } = await countSecondFactors(tx, userId)
    await deleteSecondFactors(tx, userId)
    for (const factor of [...(totp ? ['totp' as const] : []), ...(passkeys > 0 ? ['passkey' as const] : [])])
      await enqueueNotice(app, tx, { userId, notice: { kind: 'second_factor_removed', factor } })
    return totp || passkeys > 0
  })
}

async function lockAccount(tx: Tx, userId: UserId): Promise<UserRow> {
  await lockUser(tx, userId)
  const user = await findUser(tx, userId)
  if (!user || user.deactivated_ts !== null) throw new NotFoundError(`There is no account ${userId}`)
  return user
}
