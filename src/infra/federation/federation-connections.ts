import { LRUCache } from 'lru-cache'
import { type Agent, type buildConnector, type Dispatcher, Pool } from 'undici'
import type { ServerName } from '../../core/ids.ts'
import type { Clock } from '../clock.ts'
import { createNameLookUp } from '../http/name-look-up.ts'
import {
  type Connect,
  createConnect,
  createGuardedAgent,
  createTrust,
  type Trust,
} from '../http/trusted-connections.ts'
import type { Lane } from './asked-lanes.ts'
import { createDelegationLookUp } from './delegations.ts'
import { type DiscoverySources, findServer, type ServerTarget } from './server-discovery.ts'
import { createSrvLookUp } from './srv-records.ts'

/** Where this server's requests may go. */
export type OutgoingRules = {
  /** Files (PEM) of certificate authorities to trust besides the usual ones. */
  trustedCertificates: readonly string[]
  /** Whether what users and other servers name may be on this machine and its private networks. */
  allowPrivateAddresses: boolean
}

/** Connections to other servers, kept alive between requests. */
export type FederationConnections = {
  /** Where a server is, and the connections to it, of which each kind of requests has its own. Throws what stops its discovery. */
  to(serverName: ServerName, lane?: Lane): Promise<{ target: ServerTarget; dispatcher: Dispatcher }>
  /** For requests to other hosts that users and other servers name, under the same rules. */
  anywhere: Agent
  /** For requests to hosts that the configuration names, such as those of application services: they may be private ones. */
  configured: Agent
  /** The certificate authorities to trust, for protocols other than HTTP. */
  trust: Trust
  /** Does what the first connection would have to wait for: reading the certificates that are trusted takes a tenth of a second. */
  prepare(): void
  close(): Promise<void>
}

/** Connections to one server at a time, of one kind; what does not find one free waits. */
const CONNECTIONS = 8
const MAX_DESTINATIONS = 5000
const IDLE_MS = 60_000
/** Time until an answer begins: large rooms take theirs. */
const SILENCE_MS = 60_000
/** Time without a byte, once it has begun. */
const PAUSE_MS = 30_000

/** `discovery`: where servers are looked for, if not in `.well-known` and DNS. */
export function createFederationConnections(
  { trustedCertificates, allowPrivateAddresses }: OutgoingRules,
  clock: Clock,
  discovery?: DiscoverySources,
): FederationConnections {
  const trust = createTrust(trustedCertificates)
  const rules = { trust, lookUp: createNameLookUp(), allowPrivateAddresses }
  const anywhere = createGuardedAgent(rules)
  const configured = createGuardedAgent({ ...rules, allowPrivateAddresses: true })
  const sources = discovery ?? {
    delegationOf: createDelegationLookUp({ dispatcher: anywhere, clock }),
    srvAddresses: createSrvLookUp(),
  }
  const pools = new LRUCache<string, Pool>({
    max: MAX_DESTINATIONS,
    // Requests under way go on to their end.
    dispose: (pool) => void pool.close().catch(() => {}),
  })
  return {
    async to(serverName, lane = 'own') {
      const target = await findServer(sources, serverName)
      const key = [lane, target.hostHeader, target.certificateName].join(' ')
      const pool = pools.get(key) ?? openPool(target, createConnect(rules))
      pools.set(key, pool)
      current.set(pool, target)
      return { target, dispatcher: pool }
    },
    anywhere,
    configured,
    trust,
    prepare: () => void trust(),
    async close() {
      const open = [...pools.values()]
      pools.clear()
      await Promise.all([anywhere.destroy(), configured.destroy(), ...open.map((pool) => pool.destroy())])
    },
  }
}

/** What a pool connects to next: records change while connections live on. */
const current = new WeakMap<Pool, ServerTarget>()

function openPool(target: ServerTarget, connect: Connect): Pool {
  const pool = new Pool(`https://${target.hostHeader}`, {
    connections: CONNECTIONS,
    keepAliveTimeout: IDLE_MS,
    headersTimeout: SILENCE_MS,
    bodyTimeout: PAUSE_MS,
    connect: (_to, callback) => {
      const { addresses, certificateName } = current.get(pool) ?? target
      const hosts = addresses.map((address) => ({ ...address, certificateName }))
      connectToFirst(connect, hosts, callback)
    },
  })
  return pool
}

/** Tries the addresses in order; the last one's error counts. */
function connectToFirst(
  connect: Connect,
  [first, ...others]: readonly Parameters<Connect>[0][],
  callback: buildConnector.Callback,
): void {
  if (!first) {
    callback(new Error('The server says that it offers no federation'), null)
    return
  }
  connect(first, (error, socket) => {
    if (!error) callback(null, socket)
    else if (others.length > 0) connectToFirst(connect, others, callback)
    else callback(error, null)
  })
}
