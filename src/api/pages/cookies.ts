import type { IncomingMessage } from 'node:http'
import type { App } from '../../app.ts'
import { hashToken } from '../../services/users/tokens.ts'

/** The form of the cookie's value; any other is ignored. */
const VALUE = /^[A-Za-z0-9]{40}$/

type Settings = Pick<App, 'config'>

/** The prefix `__Host-` keeps other hosts of the same domain from planting a cookie; it needs https. */
function nameOf(app: Settings): string {
  return isSecure(app) ? '__Host-hearth' : 'hearth'
}

function isSecure({ config }: Settings): boolean {
  return config.public_base_url.startsWith('https:')
}

/** Returns the secret of a browser; undefined if it has sent none. */
export function readCookie(app: Settings, request: IncomingMessage): string | undefined {
  const wanted = `${nameOf(app)}=`
  const pair = (request.headers.cookie ?? '').split(/;\s*/).find((each) => each.startsWith(wanted))
  const value = pair?.slice(wanted.length)
  return value !== undefined && VALUE.test(value) ? value : undefined
}

/** Returns the header that gives a browser its secret. */
export function cookieHeader(app: Settings, value: string): Record<string, string> {
  const seconds = Math.floor(app.config.sessions.web_session_lifetime / 1000)
  const parts = [`${nameOf(app)}=${value}`, 'Path=/', 'HttpOnly', 'SameSite=Lax', `Max-Age=${seconds}`]
  return { 'Set-Cookie': [...parts, ...(isSecure(app) ? ['Secure'] : [])].join('; ') }
}

/** Returns the proof that a form comes from a page which this browser got: only the browser has the cookie. */
export function csrfToken(cookie: string): string {
  return hashToken(`csrf ${cookie}`)
}
