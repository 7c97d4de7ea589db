import { randomInt } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/** A host (a name or an address) and a port. */
export type SrvAddress = { host: string; port: number }

export type SrvRecord = { name: string; port: number; priority: number; weight: number }

/** Looks up SRV records; undefined if there are none. */
export type SrvLookUp = (service: string, hostname: string) => Promise<SrvAddress[] | undefined>

const CACHE_MS = 5 * 60_000
/** Resolvers that do not respond must not delay every request. */
const FAILURE_CACHE_MS = 60_000

/** Uses the system's resolvers, and caches results for some minutes: Node does not return the records' TTL. */
export function createSrvLookUp(resolve: (name: string) => Promise<SrvRecord[]> = systemResolve()): SrvLookUp {
  const cache = new LRUCache<string, Promise<SrvRecord[]>>({ max: 10_000, ttl: CACHE_MS })
  return async (service, hostname) => {
    const name = `${service}.${hostname}`
    const known = cache.get(name) ?? remember(cache, name, resolve(name))
    const records = await known.catch(() => [])
    return records.length > 0 ? inOrder(records) : undefined
  }
}

function remember(
  cache: LRUCache<string, Promise<SrvRecord[]>>,
  name: string,
  looking: Promise<SrvRecord[]>,
): Promise<SrvRecord[]> {
  cache.set(name, looking)
  looking.catch(() => cache.set(name, looking, { ttl: FAILURE_CACHE_MS }))
  return looking
}

function systemResolve(): (name: string) => Promise<SrvRecord[]> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  return (name) => resolver.resolveSrv(name)
}

/**
 * Sorts by priority, and within one by weighted randomness (RFC 2782). A target of `.` means that the service does not
 * exist: the result is empty.
 */
function inOrder(records: readonly SrvRecord[]): SrvAddress[] {
  const left = records.filter(({ name }) => name !== '.' && name !== '')
  const ordered: SrvAddress[] = []
  while (left.length > 0) {
    const priority = Math.min(...left.map((record) => record.priority))
    const group = left.filter((record) => record.priority === priority)
    const next = pickByWeight(group)
    left.splice(left.indexOf(next), 1)
    ordered.push({ host: next.name, port: next.port })
  }
  return ordered
}

function pickByWeight(group: readonly SrvRecord[]): SrvRecord {
  // Adds one to each weight, so that records of weight 0 are tried too.
  let rest = randomInt(group.reduce((sum, { weight }) => sum + weight + 1, 0))
  for (const record of group) {
    rest -= record.weight + 1
    if (rest < 0) return record
  }
  return group[0]!
}
