import { type Dispatcher, request } from 'undici'
import type { ServerName } from '../../core/ids.ts'
import type { Clock } from '../clock.ts'
import { backOff } from '../concurrency/back-off.ts'
import { createGrowingCache } from '../concurrency/growing-cache.ts'
import { createSingleFlight } from '../concurrency/single-flight.ts'
import { readBounded } from '../http/read-bounded.ts'
import { parseDelegation } from './server-discovery.ts'

/** Returns the server that a host delegates to; undefined if there is none. */
export type DelegationLookUp = (hostname: string) => Promise<ServerName | undefined>

/**
 * The cached response of a host: fresh until `refreshAt`, and usable until `usableUntil` if the host does not respond
 * any more.
 */
type Known = { delegated: ServerName | undefined; refreshAt: number; usableUntil: number; failures: number }

const HOUR_MS = 3_600_000
/**
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names: a day by default, at most two, an hour for
 * errors.
 */
const DEFAULT_CACHE_MS = 24 * HOUR_MS
const MAX_CACHE_MS = 48 * HOUR_MS
const ERROR_CACHE_MS = { first: 60_000, longest: HOUR_MS }
const TIMEOUT_MS = 10_000
const MAX_REDIRECTS = 5
const MAX_BYTES = 50 * 1024

/**
 * Requests `https://<hostname>/.well-known/matrix/server` and caches the response as its cache control allows. If the
 * host fails later, a valid response stays in use for at most two days. `dispatcher` connects; `port`, `timeoutMs`: for
 * tests.
 */
export function createDelegationLookUp(from: {
  dispatcher: Dispatcher
  clock: Clock
  port?: number
  timeoutMs?: number
}): DelegationLookUp {
  const cache = createGrowingCache<string, Known>(50_000)
  const singleFlight = createSingleFlight<Known>()
  return async (hostname) => {
    const known = cache.get(hostname)
    const now = from.clock.now()
    if (known && known.refreshAt > now) return known.delegated
    const fresh = await singleFlight(hostname, async () => {
      const next = after(known, await ask(from, hostname), now)
      cache.set(hostname, next)
      return next
    })
    return fresh.delegated
  }
}

type Said = { delegated: ServerName; cacheMs: number } | undefined

function after(known: Known | undefined, said: Said, now: number): Known {
  if (said) {
    const refreshAt = now + said.cacheMs
    return { delegated: said.delegated, refreshAt, usableUntil: now + MAX_CACHE_MS, failures: 0 }
  }
  const failures = (known?.failures ?? 0) + 1
  const refreshAt = now + backOff(failures - 1, ERROR_CACHE_MS)
  const stillUsable = known?.delegated !== undefined && known.usableUntil > now
  return {
    delegated: stillUsable ? known.delegated : undefined,
    refreshAt,
    usableUntil: stillUsable ? known.usableUntil : 0,
    failures,
  }
}

/** undefined: no response, or an invalid one. */
async function ask(
  from: { dispatcher: Dispatcher; port?: number; timeoutMs?: number },
  hostname: string,
): Promise<Said> {
  const signal = AbortSignal.timeout(from.timeoutMs ?? TIMEOUT_MS)
  let url = new URL(`https://${hostname}:${from.port ?? 443}/.well-known/matrix/server`)
  try {
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const answer = await request(url, { dispatcher: from.dispatcher, signal })
      const { location } = answer.headers
      if (answer.statusCode >= 300 && answer.statusCode < 400 && typeof location === 'string') {
        await answer.body.dump()
        url = new URL(location, url)
        if (url.protocol !== 'https:') return undefined
        continue
      }
      const text = await readBounded(answer.body, MAX_BYTES)
      const delegated = answer.statusCode === 200 ? parseDelegation(JSON.parse(text.toString())) : undefined
      return delegated === undefined ? undefined : { delegated, cacheMs: cacheMs(answer.headers) }
    }
  } catch {
    // The specification continues without a delegation after any error.
  }
  return undefined
}

/** Returns how long to cache a response: Cache-Control before Expires (RFC 9111). */
function cacheMs(headers: Record<string, string | string[] | undefined>): number {
  const control = [headers['cache-control']].flat().join(',').toLowerCase()
  const maxAge = /(?:^|[\s,])max-age="?(\d+)/.exec(control)?.[1]
  const expires = Date.parse(String(headers.expires)) - Date.parse(String(headers.date))
  const said = /\bno-(store|cache)\b/.test(control) ? 0 : maxAge !== undefined ? Number(maxAge) * 1000 : expires
  return Number.isNaN(said) ? DEFAULT_CACHE_MS : Math.min(Math.max(said, ERROR_CACHE_MS.first), MAX_CACHE_MS)
}
