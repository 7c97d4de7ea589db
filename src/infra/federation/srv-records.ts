import { randomInt } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { LRUCache } from 'lru-cache'

/** A host (a name or an address) and a port. */
export type SrvAddress = { host: string; port: number }

export type SrvRecord = { name: string; port: number; priority: number; weight: number }

/** Looks SRV records up: undefined where there are none. */
export type SrvLookUp = (service: string, hostname: string) => Promise<SrvAddress[] | undefined>

const CACHE_MS = 5 * 60_000
/** Resolvers that do not answer must not hold up every request. */
const FAILURE_CACHE_MS = 60_000

/** Looks up with the system's resolvers, and remembers for some minutes: Node does not tell the records' own time. */
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

/** By priority, and within one by chance according to weight (RFC 2782). A target of `.` says that there is no such service: none is left. */
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
  // One more for each, so that those of weight 0 are tried too.
  let rest = randomInt(group.reduce((sum, { weight }) => sum + weight + 1, 0))
  for (const record of group) {
    rest -= record.weight + 1
    if (rest < 0) return record
  }
  return group[0]!
}
