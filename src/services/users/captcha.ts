import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'

type Provider = NonNullable<App['config']['registration']['captcha']['provider']>

/** The parameters with which a page shows a captcha. */
export type CaptchaWidget = {
  siteKey: string
  /** The class of the element that the script turns into the captcha. */
  className: string
  scriptUrl: string
  /** The field that the script adds to the form. */
  field: string
  /** Origins of its scripts, styles and frames. */
  origins: readonly string[]
}

/** The stage of a captcha: clients show reCAPTCHA themselves, and a web page for other providers. */
export type CaptchaStage = 'm.login.recaptcha' | 'hearth.captcha'

const PROVIDERS: Record<Provider, Omit<CaptchaWidget, 'siteKey'> & { verifyUrl: string }> = {
  recaptcha: {
    className: 'g-recaptcha',
    field: 'g-recaptcha-response',
    scriptUrl: 'https://www.google.com/recaptcha/api.js',
    verifyUrl: 'https://www.google.com/recaptcha/api/siteverify',
    origins: ['https://www.google.com', 'https://www.gstatic.com', 'https://www.recaptcha.net'],
  },
  hcaptcha: {
    className: 'h-captcha',
    field: 'h-captcha-response',
    scriptUrl: 'https://js.hcaptcha.com/1/api.js',
    verifyUrl: 'https://api.hcaptcha.com/siteverify',
    origins: ['https://hcaptcha.com', 'https://*.hcaptcha.com'],
  },
  turnstile: {
    className: 'cf-turnstile',
    field: 'cf-turnstile-response',
    scriptUrl: 'https://challenges.cloudflare.com/turnstile/v0/api.js',
    verifyUrl: 'https://challenges.cloudflare.com/turnstile/v0/siteverify',
    origins: ['https://challenges.cloudflare.com'],
  },
}

const TIMEOUT_MS = 10_000
/** Solutions of all providers are shorter. */
const MAX_SOLUTION = 16_384
/** Errors that the configuration causes, not the user. */
const OWN_FAULTS = ['missing-input-secret', 'invalid-input-secret', 'sitekey-secret-mismatch', 'bad-request']

const verdict = z.object({ success: z.boolean(), 'error-codes': z.array(z.string()).optional() })

/** Returns the stage of the configured captcha; undefined if there is none. */
export function captchaStage({ registration }: App['config']): CaptchaStage | undefined {
  const { provider } = registration.captcha
  return provider && (provider === 'recaptcha' ? 'm.login.recaptcha' : 'hearth.captcha')
}

/** Returns the parameters of the captcha's stage for clients. */
export function captchaParams({ registration }: App['config']): Record<string, unknown> {
  const { provider, site_key } = registration.captcha
  return { public_key: site_key, ...(provider !== 'recaptcha' && { provider }) }
}

/** Returns what a page needs to show the configured captcha; undefined if there is none. */
export function captchaWidget({ registration }: App['config']): CaptchaWidget | undefined {
  const { provider, site_key, script_url } = registration.captcha
  if (!provider) return undefined
  const { verifyUrl: _, ...widget } = PROVIDERS[provider]
  const own = script_url === undefined ? [] : [new URL(script_url).origin]
  return {
    ...widget,
    siteKey: site_key!,
    scriptUrl: script_url ?? widget.scriptUrl,
    origins: [...widget.origins, ...own],
  }
}

/**
 * Has the provider check the solution of a captcha. Throws M_CAPTCHA_NEEDED and M_CAPTCHA_INVALID, and 503 if the
 * provider gives no verdict.
 * https://spec.matrix.org/v1.19/client-server-api/#google-recaptcha
 */
export async function checkCaptcha(
  app: Pick<App, 'config' | 'configuredHttp' | 'logger' | 'stopping'>,
  solution: unknown,
): Promise<void> {
  const { provider, secret_key, verify_url } = app.config.registration.captcha
  if (!provider) throw new MatrixError(403, 'M_FORBIDDEN', 'This server has no captcha')
  if (typeof solution !== 'string' || solution === '')
    throw new MatrixError(401, 'M_CAPTCHA_NEEDED', 'auth.response: the solution of the captcha is missing')
  if (solution.length > MAX_SOLUTION) throw invalid()
  const { success, 'error-codes': faults = [] } = await requestVerdict(app, {
    url: verify_url ?? PROVIDERS[provider].verifyUrl,
    fields: { secret: secret_key!, response: solution },
  })
  if (success) return
  if (!faults.some((fault) => OWN_FAULTS.includes(fault))) throw invalid()
  app.logger.error({ provider, faults }, 'captcha provider refused the request, check registration.captcha')
  throw unavailable()
}

async function requestVerdict(
  { configuredHttp, logger, stopping }: Pick<App, 'configuredHttp' | 'logger' | 'stopping'>,
  { url, fields }: { url: string; fields: Record<string, string> },
): Promise<z.output<typeof verdict>> {
  try {
    const { status, body } = await configuredHttp.postForm(url, fields, { timeoutMs: TIMEOUT_MS, signal: stopping })
    const { data } = verdict.safeParse(body)
    if (data) return data
    throw new Error(`the captcha provider responded with ${status} and no verdict`)
  } catch (error) {
    logger.warn({ err: error, url }, 'check of captcha failed')
    throw unavailable()
  }
}

function invalid(): MatrixError {
  return new MatrixError(401, 'M_CAPTCHA_INVALID', 'The captcha was not solved, or too long ago. Solve it again')
}

function unavailable(): MatrixError {
  const message = 'The captcha cannot be checked at the moment. Try again later'
  return new MatrixError(503, 'hearth.captcha_unavailable', message)
}
