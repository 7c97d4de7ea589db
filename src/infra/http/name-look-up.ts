import { type LookupAddress, promises as system } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIP, type LookupFunction } from 'node:net'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import { createSingleFlight } from '../concurrency/single-flight.ts'
import { isPrivateAddress } from './private-address.ts'

/** Returns the addresses of a name. Rejects if it has none. */
export type NameLookUp = (name: string) => Promise<LookupAddress[]>

/** The sources of addresses, in this order; each returns an empty list for an unknown name. */
export type NameSources = {
  /** The text of the hosts file. */
  hosts(): Promise<string>
  dns(name: string): Promise<LookupAddress[]>
  /** Other sources of the system: search domains, mDNS. Rejects for an unknown name. */
  system(name: string): Promise<LookupAddress[]>
}

/**
 * The system's function blocks one of few threads for each name until the name servers respond: names from outside must
 * not use up all of them.
 */
const SYSTEM_AT_ONCE = 4

/**
 * Looks up names as the system does, but without a thread for names that DNS knows: name servers that never respond
 * block no other look-ups.
 */
export function createNameLookUp(sources: NameSources = systemSources()): NameLookUp {
  const flights = createSingleFlight<LookupAddress[]>()
  const limit = createConcurrencyLimit(SYSTEM_AT_ONCE)
  return (name) =>
    flights(name, async () => {
      const fixed = addressesIn(await sources.hosts().catch(() => ''), name)
      if (fixed.length > 0) return fixed
      const found = await sources.dns(name)
      return found.length > 0 ? found : limit(() => sources.system(name))
    })
}

/**
 * For connections: looks up when a connection is made, so that nothing can change between check and use.
 * `allowPrivateAddresses`: whether private addresses are allowed.
 */
export function lookUpFor(lookUp: NameLookUp, allowPrivateAddresses: boolean): LookupFunction {
  return (name, options, callback) => {
    lookUp(name).then(
      (addresses) => {
        const wanted = addresses.filter(({ family }) => !options.family || options.family === family)
        const allowed = allowPrivateAddresses ? wanted : wanted.filter(({ address }) => !isPrivateAddress(address))
        const [first] = allowed
        if (!first) callback(new Error(`${name} has no public address`), '', 0)
        else if (options.all) callback(null, allowed)
        else callback(null, first.address, first.family)
      },
      (error) => callback(error, '', 0),
    )
  }
}

/** Returns the addresses of a name in a hosts file: lines of an address and its names, with comments after `#`. */
function addressesIn(hosts: string, name: string): LookupAddress[] {
  const wanted = name.toLowerCase()
  if (!hosts.toLowerCase().includes(wanted)) return []
  return hosts.split(/\r?\n/).flatMap((line) => {
    const [address = '', ...names] = line.split('#', 1)[0]!.trim().split(/\s+/)
    const family = isIP(address)
    return family !== 0 && names.some((each) => each.toLowerCase() === wanted) ? [{ address, family }] : []
  })
}

const HOSTS_FILE = '/etc/hosts'

function systemSources(): NameSources {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  const none = () => []
  return {
    hosts: () => readFile(HOSTS_FILE, 'utf8'),
    async dns(name) {
      const [ipv4, ipv6] = await Promise.all([resolver.resolve4(name).catch(none), resolver.resolve6(name).catch(none)])
      return [...ipv4.map((address) => ({ address, family: 4 })), ...ipv6.map((address) => ({ address, family: 6 }))]
    },
    system: (name) => system.lookup(name, { all: true, order: 'verbatim' }),
  }
}
