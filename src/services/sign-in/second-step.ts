import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { provePasskey } from './passkeys.ts'
import { takeRecoveryCode } from './recovery-codes.ts'
import { wrongCode, wrongRecoveryCode } from './second-factor-errors.ts'
import { finishFirstStep, finishSecondStep, type StepTaken } from './sign-in-steps.ts'
import { takeTotpCode } from './totp.ts'
import type { Browser } from './web-sessions.ts'

/** The proof of a second factor: the code of an app, a recovery code, or the browser's answer of a passkey. */
export type GivenFactor = { kind: 'totp' | 'recovery' | 'passkey'; text: string }

type Capabilities = Pick<
  App,
  'database' | 'clock' | 'random' | 'config' | 'logger' | 'serverName' | 'rateLimiter' | 'mailer' | 'spamChecks'
>

/**
 * Passes the second step of a sign-in. The proof is used up in the transaction that signs in. Codes count for the
 * account before the check. Throws if the proof is wrong, M_LIMIT_EXCEEDED, M_USER_LOCKED, and M_FORBIDDEN if the browser
 * does not wait for this user's second step.
 */
export async function passSecondStep(
  app: Capabilities,
  browser: Browser,
  { userId, given }: { userId: UserId; given: GivenFactor },
): Promise<StepTaken> {
  if (given.kind === 'passkey') {
    const { consume } = await provePasskey(app, { cookie: browser.cookie, userId, answer: given.text })
    return finishSecondStep(app, browser, { userId, prove: consume })
  }
  await app.rateLimiter.take('second_factor', userId)
  const takes = (tx: Tx) =>
    given.kind === 'totp'
      ? takeTotpCode(app, tx, { userId, code: given.text })
      : takeRecoveryCode(tx, userId, given.text)
  return finishSecondStep(app, browser, {
    userId,
    async prove(tx) {
      if (!(await takes(tx))) throw given.kind === 'totp' ? wrongCode() : wrongRecoveryCode()
    },
  })
}

/** Signs a browser in with a passkey alone. Throws if it is wrong, and as finishFirstStep. */
export async function signInWithPasskey(app: Capabilities, browser: Browser, answer: string): Promise<StepTaken> {
  const { userId, consume } = await provePasskey(app, { cookie: browser.cookie, answer })
  return finishFirstStep(app, browser, { userId, by: 'passkey' }, consume)
}
