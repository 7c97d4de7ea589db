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

/** The rules for this server's outgoing connections. */
export type OutgoingRules = {
  /** PEM files of certificate authorities to trust in addition to the default ones. */
  trustedCertificates: readonly string[]
  /** Whether names from users and other servers may lead to this machine and its private networks. */
  allowPrivateAddresses: boolean
}

/** Connections to other servers, kept alive between requests. */
export type FederationConnections = {
  /**
   * Returns a server's address, and its connections, separate for each kind of request. Throws if the discovery fails.
   */
  to(serverName: ServerName, lane?: Lane): Promise<{ target: ServerTarget; dispatcher: Dispatcher }>
  /** For requests to other hosts that users and other servers name, with the same rules. */
  anywhere: Agent
  /** For requests to hosts in the configuration, such as those of application services: they may be private. */
  configured: Agent
  /** The certificate authorities to trust, for protocols other than HTTP. */
  trust: Trust
  /** Prepares what the first connection would have to wait for: reading the trusted certificates takes 100 ms. */
  prepare(): void
  close(): Promise<void>
}

/** The maximum concurrent connections of one kind to one server; further requests wait. */
const CONNECTIONS = 8
const MAX_DESTINATIONS = 5000
const IDLE_MS = 60_000
/** The timeout until a response starts: large rooms take long. */
const SILENCE_MS = 60_000
/** The timeout between bytes, once a response has started. */
const PAUSE_MS = 30_000

/** `discovery`: overrides `.well-known` and DNS. */
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
  const pools = new LRUCache<string, OpenPool>({
    max: MAX_DESTINATIONS,
    // Requests in progress are completed.
    dispose: ({ pool }) => void pool.close().catch(() => {}),
  })
  return {
    async to(serverName, lane = 'own') {
      const target = await findServer(sources, serverName)
      const key = [lane, target.hostHeader, target.certificateName].join(' ')
      const open = pools.get(key) ?? openPool(target, createConnect(rules))
      pools.set(key, open)
      open.target = target
      return { target, dispatcher: open.pool }
    },
    anywhere,
    configured,
    trust,
    prepare: () => void trust(),
    async close() {
      const open = [...pools.values()]
      pools.clear()
      await Promise.all([anywhere.destroy(), configured.destroy(), ...open.map(({ pool }) => pool.destroy())])
    },
  }
}

/** `target` is the current address: records change while connections live on. */
type OpenPool = { readonly pool: Pool; target: ServerTarget }

function openPool(target: ServerTarget, connect: Connect): OpenPool {
  const pool = new Pool(`https://${target.hostHeader}`, {
    connections: CONNECTIONS,
    keepAliveTimeout: IDLE_MS,
    headersTimeout: SILENCE_MS,
    bodyTimeout: PAUSE_MS,
    connect: (_to, callback) => {
      const { addresses, certificateName } = open.target
      const hosts = addresses.map((address) => ({ ...address, certificateName }))
      connectToFirst(connect, hosts, callback)
    },
  })
  const open: OpenPool = { pool, target }
  return open
}

/** Tries the addresses in order; throws the last one's error. */
function connectToFirst(
  connect: Connect,
  [first, ...others]: readonly Parameters<Connect>[0][],
  callback: buildConnector.Callback,
): void {
  if (!first) {
    callback(new Error('The server reports that it does not federate'), null)
    return
  }
  connect(first, (error, socket) => {
    if (!error) callback(null, socket)
    else if (others.length > 0) connectToFirst(connect, others, callback)
    else callback(error, null)
  })
}
