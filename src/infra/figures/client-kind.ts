import type { IncomingHttpHeaders } from 'node:http'

/** Kinds of clients by a part of their user agent, the first that is found. */
const BY_AGENT: readonly (readonly [RegExp, string])[] = [
  [/^(Synapse|Dendrite|Conduit|conduwuit|continuwuity|tuwunel|Hearth|construct)\b/i, 'Homeserver'],
  [/\bElement[ _]?X\b/i, 'Element X'],
  [/\bElement( Nightly)?\/.*\bElectron\//, 'Element Desktop'],
  [/^(Element|Riot(X|\.im)?)\b/i, 'Element (classic)'],
  [/\bSchildiChat\b/i, 'SchildiChat'],
  [/\bCinny\b/i, 'Cinny'],
  [/\bFluffyChat\b|^Dart\//i, 'FluffyChat'],
  [/\bnheko\b|^mtxclient/i, 'nheko'],
  [/\b(NeoChat|Quaternion|libQuotient)\b/i, 'NeoChat, Quaternion'],
  [/\bFractal\b/i, 'Fractal'],
  [/\bThunderbird\b/i, 'Thunderbird'],
  [/\bgomuks\b/i, 'gomuks'],
  [/\bmatrix-rust-sdk\b/i, 'matrix-rust-sdk'],
  [/\bmautrix|\bheisenbridge\b|\bmatrix-appservice/i, 'Bridge'],
  [/\bmatrix-(bot-sdk|nio)\b|\bmaubot\b|\bDraupnir\b|\bhookshot\b/i, 'Bot'],
  [/^(python-|aiohttp|Python\/|Go-http-client|curl|Wget|node|undici|axios|okhttp|Java|Ruby|libwww)/i, 'Script'],
  [/\bPrometheus\//, 'Prometheus'],
]

/** Web clients by a part of the origin that their requests name; their user agent is the browser's. */
const BY_ORIGIN: readonly (readonly [RegExp, string])[] = [
  [/\belement\b/i, 'Element Web'],
  [/cinny/i, 'Cinny'],
  [/fluffychat/i, 'FluffyChat'],
  [/hydrogen/i, 'Hydrogen'],
]

const BROWSER = /^Mozilla\/5\.0 /
const MAX_CACHED = 1000
const MAX_HEADER = 512

/** The kind of clients that could not be told from their requests. */
const UNKNOWN_CLIENT = 'Other'

/** Returns a function that finds the kind of the client of a request by its headers. It caches the last results. */
export function createClientKinds(): (headers: IncomingHttpHeaders) => string {
  const cache = new Map<string, string>()
  return ({ 'user-agent': agent = '', origin = '' }) => {
    const key = origin === '' ? agent : `${agent}\n${origin}`
    const known = cache.get(key)
    if (known !== undefined) return known
    if (cache.size >= MAX_CACHED) cache.clear()
    const kind = clientKind(agent.slice(0, MAX_HEADER), origin.slice(0, MAX_HEADER))
    if (key.length <= 2 * MAX_HEADER) cache.set(key, kind)
    return kind
  }
}

function clientKind(agent: string, origin: string): string {
  const found = kindIn(BY_AGENT, agent)
  if (found !== undefined) return found
  if (!BROWSER.test(agent)) return UNKNOWN_CLIENT
  return kindIn(BY_ORIGIN, origin) ?? 'Web browser'
}

function kindIn(table: typeof BY_AGENT, text: string): string | undefined {
  return table.find(([pattern]) => pattern.test(text))?.[1]
}
