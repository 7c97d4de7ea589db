import { isIP } from 'node:net'
import type { ServerName } from '../../core/ids.ts'
import { isServerName } from '../../core/ids.ts'
import type { SrvAddress } from './srv-records.ts'

/** How a server is reached. */
export type ServerTarget = {
  /** For the request's `Host` header. */
  hostHeader: string
  /** Whom the certificate has to be for: a name, which is sent as SNI too, or an IP address, which is not. */
  certificateName: string
  /** Where to connect to: the first that works. A host is a name or an IP address without brackets. */
  addresses: SrvAddress[]
}

export type DiscoverySources = {
  /** The delegated server name; undefined where there is none. Cached by the source. */
  delegationOf(hostname: string): Promise<ServerName | undefined>
  /** Where SRV records for a service point, in the order to try; undefined where there are none. Cached by the source. */
  srvAddresses(service: string, hostname: string): Promise<SrvAddress[] | undefined>
}

const DEFAULT_PORT = 8448

/** Where to connect to for a server name. https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names; the comments have its numbers. */
export async function findServer(sources: DiscoverySources, serverName: ServerName): Promise<ServerTarget> {
  const fixed = withoutLookUp(serverName)
  if (fixed) return fixed
  // 3.
  const delegated = await sources.delegationOf(serverName)
  return (delegated && withoutLookUp(delegated)) ?? (await byRecords(sources, delegated ?? serverName))
}

/** A server name's host, without the brackets of IPv6, and port. */
export function splitServerName(serverName: string): { host: string; port: number | undefined } {
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(serverName) ?? []
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? undefined : Number(port) }
}

/** The server name that a `.well-known` answer delegates to; undefined if it is not valid. */
export function parseDelegation(answer: unknown): ServerName | undefined {
  const name =
    typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>)['m.server'] : undefined
  return typeof name === 'string' && isServerName(name) ? name : undefined
}

/** 1, 3.1: an IP address; 2, 3.2: a name with a port. */
function withoutLookUp(serverName: ServerName): ServerTarget | undefined {
  const { host, port } = splitServerName(serverName)
  if (isIP(host) === 0 && port === undefined) return undefined
  return { hostHeader: serverName, certificateName: host, addresses: [{ host, port: port ?? DEFAULT_PORT }] }
}

/** 3.3 to 3.5, 4 to 6: a name without a port. The certificate is for that name, wherever the records point. */
async function byRecords(sources: DiscoverySources, hostname: ServerName): Promise<ServerTarget> {
  const [current, deprecated] = await Promise.all([
    sources.srvAddresses('_matrix-fed._tcp', hostname),
    sources.srvAddresses('_matrix._tcp', hostname),
  ])
  const addresses = current ?? deprecated ?? [{ host: hostname, port: DEFAULT_PORT }]
  return { hostHeader: hostname, certificateName: hostname, addresses }
}
