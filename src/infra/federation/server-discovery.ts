import { isIP } from 'node:net'
import type { ServerName } from '../../core/ids.ts'
import { isServerName } from '../../core/ids.ts'
import type { SrvAddress } from './srv-records.ts'

/** How to reach a server. */
export type ServerTarget = {
  /** For the request's `Host` header. */
  hostHeader: string
  /** The name on the certificate, also sent as SNI, or an IP address, for which no SNI is sent. */
  certificateName: string
  /** The addresses to try in order. A host is a name or an IP address without brackets. */
  addresses: SrvAddress[]
}

export type DiscoverySources = {
  /** Returns the delegated server name; undefined if there is none. Cached by the source. */
  delegationOf(hostname: string): Promise<ServerName | undefined>
  /** Returns the targets of SRV records, in the order to try; undefined if there are none. Cached by the source. */
  srvAddresses(service: string, hostname: string): Promise<SrvAddress[] | undefined>
}

const DEFAULT_PORT = 8448

/**
 * Resolves a server name. https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names; comments have its
 * step numbers.
 */
export async function findServer(sources: DiscoverySources, serverName: ServerName): Promise<ServerTarget> {
  const fixed = withoutLookUp(serverName)
  if (fixed) return fixed
  // 3.
  const delegated = await sources.delegationOf(serverName)
  return (delegated && withoutLookUp(delegated)) ?? (await byRecords(sources, delegated ?? serverName))
}

/** Splits a server name into its host, without the brackets of IPv6, and port. */
export function splitServerName(serverName: string): { host: string; port: number | undefined } {
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(serverName) ?? []
  return { host: host.replace(/^\[|\]$/g, ''), port: port === undefined ? undefined : Number(port) }
}

/** Parses the server name in a `.well-known` response; undefined if it is invalid. */
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

/** 3.3 to 3.5, 4 to 6: a name without a port. The certificate is for that name, not for the targets of the records. */
async function byRecords(sources: DiscoverySources, hostname: ServerName): Promise<ServerTarget> {
  const [current, deprecated] = await Promise.all([
    sources.srvAddresses('_matrix-fed._tcp', hostname),
    sources.srvAddresses('_matrix._tcp', hostname),
  ])
  const addresses = current ?? deprecated ?? [{ host: hostname, port: DEFAULT_PORT }]
  return { hostHeader: hostname, certificateName: hostname, addresses }
}
