/** Names of this machine, for redirects to native clients: https://www.rfc-editor.org/rfc/rfc8252#section-7.3 */
const LOOPBACKS = ['localhost', '127.0.0.1', '[::1]']
const MAX_URI_LENGTH = 2048
/** Scheme, two slashes, a host without encoded characters, and perhaps a port; no user. */
const PLAIN_URL = /^https?:\/\/([a-z0-9-]+(\.[a-z0-9-]+)*\.?|\[[0-9a-f:.]+\])(:\d*)?([/?]|$)/i

/** The metadata of a client that decides about its URIs. `allowsLocalhost`: whether it may be on this machine. */
export type ClientOrigin = { clientUri: URL; isNative: boolean; allowsLocalhost: boolean }

/** Parses the `client_uri` of a client; undefined if it is not permitted. */
export function parseClientUri(text: string, { allowsLocalhost }: { allowsLocalhost: boolean }): URL | undefined {
  const url = parseUri(text)
  if (!url) return undefined
  return url.protocol === 'https:' || (allowsLocalhost && isLoopback(url)) ? url : undefined
}

/** Whether a URI that a client shows (logo, terms) is on its host or a subdomain. */
export function isOfClient(text: string, origin: ClientOrigin): boolean {
  const url = parseUri(text)
  if (!url) return false
  if (origin.allowsLocalhost && isLoopback(url) && isLoopback(origin.clientUri)) return true
  const { hostname } = origin.clientUri
  return url.protocol === 'https:' && (url.hostname === hostname || url.hostname.endsWith(`.${hostname}`))
}

/**
 * Whether a client may register a redirect URI: https on its host or a subdomain; for native clients also a private
 * scheme that is its host in reverse order, and this machine by http.
 * https://spec.matrix.org/v1.19/client-server-api/#redirect-uri-validation
 */
export function mayRegisterRedirect(text: string, origin: ClientOrigin): boolean {
  if (isOfClient(text, origin)) return true
  const url = parseUri(text)
  if (!url || !origin.isNative) return false
  return isLoopback(url) || isPrivateScheme(url, origin.clientUri.hostname)
}

/** Whether a requested redirect is a registered one. A native client on this machine listens on any port. */
export function matchesRedirect(requested: string, registered: string): boolean {
  if (requested === registered) return true
  const [one, other] = [parseUri(requested), parseUri(registered)]
  if (!one || !other || !isLoopback(one) || !isLoopback(other)) return false
  one.port = ''
  other.port = ''
  return one.href === other.href
}

/** Text that does not survive parsing is refused, so that all readers of a URI understand the same. */
function parseUri(text: string): URL | undefined {
  if (text.length > MAX_URI_LENGTH || !/^[\x21-\x7e]+$/.test(text) || text.includes('#') || text.includes('\\'))
    return undefined
  if (/^https?:/i.test(text)) return parsePlainUrl(text)
  return /^[^/?]*\/\/[^/?]*@/.test(text) ? undefined : (URL.parse(text) ?? undefined)
}

/** A host that is written in another way than URLs have it, such as an address of one number, is refused. */
function parsePlainUrl(text: string): URL | undefined {
  const host = PLAIN_URL.exec(text)?.[1]
  const url = host === undefined ? null : URL.parse(text)
  return url?.hostname === host?.toLowerCase() ? (url ?? undefined) : undefined
}

function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && LOOPBACKS.includes(hostname)
}

/**
 * `org.example.app:/path` for a client of `example.org`. The specification permits no authority (`org.example.app://`),
 * but older apps have one.
 */
function isPrivateScheme({ protocol }: URL, host: string): boolean {
  const scheme = protocol.slice(0, -1)
  const reversed = host.split('.').reverse().join('.')
  return reversed.includes('.') && (scheme === reversed || scheme.startsWith(`${reversed}.`))
}
