import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { findTotpStep, toTotpSecret, totpAddress } from '../../infra/sign-in/totp.ts'
import type { Tx } from '../../storage/engine/database.ts'
import {
  confirmTotpSecret,
  deleteTotpSecret,
  findTotpSecret,
  storePendingTotpSecret,
  takeTotpStep,
} from '../../storage/sign-in/totp-secrets.ts'
import { noSuchFactor, wrongCode } from './second-factor-errors.ts'
import {
  addSecondFactor,
  type FactorAdded,
  removeSecondFactor,
  requireEnrolment,
  type SecondFactorCapabilities,
} from './second-factors.ts'

/** A secret that the user has not confirmed, as text to type and as address for a QR code. */
export type PendingTotp = { secret: string; address: string }

/** The recommended length: https://www.rfc-editor.org/rfc/rfc4226#section-4 */
const SECRET_BYTES = 20

/** Begins to set up an authenticator app. One that is in force stays so until the new one is confirmed. */
export async function beginTotp(app: SecondFactorCapabilities, userId: UserId): Promise<void> {
  requireEnrolment(app)
  const secret = await toTotpSecret(new Uint8Array(app.random.bytes(SECRET_BYTES)))
  await app.database.write((tx) => storePendingTotpSecret(tx, userId, secret))
}

/** Returns what an app needs to know, between `beginTotp` and `confirmTotp`; otherwise undefined. */
export async function findPendingTotp(
  app: Pick<App, 'database' | 'config' | 'serverName'>,
  userId: UserId,
): Promise<PendingTotp | undefined> {
  const secret = (await findTotpSecret(app.database, userId))?.pending_secret
  if (!secret) return undefined
  return { secret, address: await totpAddress(secret, { issuer: app.serverName, label: userId }) }
}

/** Puts the new app into force by its first code. Throws if the code is wrong, and without `beginTotp`. */
export async function confirmTotp(
  app: SecondFactorCapabilities,
  { userId, code }: { userId: UserId; code: string },
): Promise<FactorAdded> {
  return addSecondFactor(app, {
    userId,
    factor: 'totp',
    async add(tx) {
      const pending = (await findTotpSecret(tx, userId))?.pending_secret
      if (!pending) throw noSuchFactor()
      const step = await findTotpStep(pending, withoutBlanks(code), app.clock.now())
      if (step === undefined) throw wrongCode()
      await confirmTotpSecret(tx, userId, step)
    },
  })
}

/** Removes the authenticator app of a user. Throws if there is none. */
export async function removeTotp(app: SecondFactorCapabilities, userId: UserId): Promise<void> {
  await removeSecondFactor(app, {
    userId,
    factor: 'totp',
    async remove(tx) {
      if (!(await deleteTotpSecret(tx, userId))) throw noSuchFactor()
    },
  })
}

/** Uses a code of the user's app. False if it is wrong, too old, or not newer than the last used one. */
export async function takeTotpCode(
  app: Pick<App, 'clock'>,
  tx: Tx,
  { userId, code }: { userId: UserId; code: string },
): Promise<boolean> {
  const secret = (await findTotpSecret(tx, userId))?.secret
  if (!secret) return false
  const step = await findTotpStep(secret, withoutBlanks(code), app.clock.now())
  return step !== undefined && takeTotpStep(tx, userId, step)
}

/** Apps show a code in two groups. */
function withoutBlanks(code: string): string {
  return code.replace(/\s/g, '')
}
