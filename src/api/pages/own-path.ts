/** Where a sign-in may lead: pages of this server, and starts of sign-ins for clients. */
const OWN =
  /^\/(account|consent|device|login|upstream|oauth2\/authorize|admin|_matrix\/client\/(v3|r0)\/(login\/sso|auth))(\/|\?|$)/
const MAX_LENGTH = 2000

/** The page on which visitors create an account. */
export const REGISTER_PATH = '/register'

/** The page for a forgotten password. */
export const FORGOTTEN_PATH = '/password/forgotten'

/** The page on which users set up second factors. */
export const SECOND_FACTOR_PATH = '/account/second-factor'

/**
 * Returns a path of this server that a page was asked to continue with, as a browser would resolve it; undefined for
 * everything else, so that no link leads through our pages to another site.
 */
export function ownPath(text: string | null | undefined): string | undefined {
  if (!text?.startsWith('/') || text.length > MAX_LENGTH || !URL.canParse(text, 'https://own.invalid')) return undefined
  const { origin, pathname, search } = new URL(text, 'https://own.invalid')
  const path = pathname + search
  return origin === 'https://own.invalid' && OWN.test(path) ? path : undefined
}

/** Adds `continue` to a path of our own. */
export function withContinue(path: string, on: string | undefined): string {
  if (on === undefined) return path
  return `${path}${path.includes('?') ? '&' : '?'}continue=${encodeURIComponent(on)}`
}
