import { expect } from 'vitest'
import type { CredentialOptions } from '../../testing/authenticator.ts'
import { totpCode } from '../../testing/totp-code.ts'
import type { VisitedPage, Visitor } from './page-visitor.ts'

export const FACTORS_PATH = '/account/second-factor'

/** An authenticator app and the recovery codes of an account. */
export type SetUpFactor = { secret: string; recoveryCodes: string[] }

/** Sets up an authenticator app, by a visitor who has just signed in. The code of the present time step is then used. */
export async function setUpTotp(visitor: Visitor): Promise<SetUpFactor> {
  const secret = await beginTotp(visitor)
  const confirmed = await confirmTotp(visitor, secret)
  expect([confirmed.status, confirmed.title]).toEqual([200, 'Recovery codes'])
  return { secret, recoveryCodes: recoveryCodesIn(confirmed) }
}

/** Begins to set up an authenticator app, and returns its secret. */
export async function beginTotp(visitor: Visitor): Promise<string> {
  const page = await visitor.submit(await visitor.open(FACTORS_PATH), {}, { do: 'begin-totp' })
  expect(page.url.pathname).toBe(`${FACTORS_PATH}/totp`)
  return /<code>([A-Z2-7 ]+)<\/code>/.exec(page.text)![1]!.replaceAll(' ', '')
}

/** Confirms a new authenticator app with its present code; `page`: where the secret is shown. */
export async function confirmTotp(visitor: Visitor, secret: string, page?: VisitedPage): Promise<VisitedPage> {
  const shown = page ?? (await visitor.open(`${FACTORS_PATH}/totp`))
  return visitor.submit(shown, { code: totpCode(secret, Date.now()) })
}

/** The code after the present one: good for a sign-in although the present one was used. */
export function nextTotpCode(secret: string): string {
  return totpCode(secret, Date.now() + 30_000)
}

export function recoveryCodesIn(page: VisitedPage): string[] {
  return [...page.text.matchAll(/<li><code>([a-z2-7-]+)<\/code>/g)].map(([, code]) => code!)
}

/** Returns the options that a page has for the browser's passkey. */
export function passkeyOptionsIn(page: VisitedPage): CredentialOptions {
  const escaped = /data-options="([^"]*)"/.exec(page.text)?.[1]
  if (escaped === undefined) throw new Error(`no passkey is asked for in ${page.url}: ${page.text}`)
  return JSON.parse(escaped.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))))
}
