import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Client } from 'ldapts'
import type { Config } from '../../config.ts'
import type { Trust } from '../http/trusted-connections.ts'

/** A connection to the directory, which opens with the first request. */
export type LdapConnection = {
  client: Client
  /** Starts TLS if the configuration says so. Comes before all other requests. */
  start(): Promise<void>
  /** Aborted once the connection is closed. */
  closed: AbortSignal
  end(): void
}

export type LdapServer = Config['ldap'] & { url: string }

/** The directory has closed the connection. */
export class ConnectionLost extends Error {
  constructor(cause?: unknown) {
    super('the directory has closed the connection', { cause })
    this.name = 'ConnectionLost'
  }
}

/** Returns the LDAP result code of an error; undefined for an error of the connection. */
export function resultCodeOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'number' ? code : undefined
}

/**
 * Creates a connection that opens only once. ldapts would reconnect by itself: without TLS if TLS had been started, and
 * as nobody.
 */
export function createLdapConnection(
  LdapClient: typeof Client,
  { url, start_tls, timeout }: LdapServer,
  trust: Trust,
): LdapConnection {
  let socket: Socket | undefined
  const closed = new AbortController()
  const isSecure = new URL(url).protocol === 'ldaps:'
  const once = <Options extends unknown[]>(connect: (...options: Options) => Socket) => {
    return (...options: Options) => {
      if (socket) throw new ConnectionLost()
      socket = connect(...options)
      // After the socket's error, which says why. ldapts itself does not notice the end of a connection with StartTLS.
      socket.once('close', () => setImmediate(() => closed.abort()))
      return socket
    }
  }
  const client = new LdapClient({
    url,
    timeout,
    connectTimeout: timeout,
    ...(isSecure
      ? { tlsOptions: tlsOptions(url, trust), createSecureConnection: once(connectTls as never) as typeof connectTls }
      : { createConnection: once(connectTcp as never) as typeof connectTcp }),
  })
  return {
    client,
    async start() {
      if (start_tls && !isSecure) await client.startTLS(tlsOptions(url, trust))
    },
    closed: closed.signal,
    end: () => void socket?.destroy(),
  }
}

function tlsOptions(url: string, trust: Trust): ConnectionOptions {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  return { host, secureContext: trust(), ...(isIP(host) === 0 && { servername: host }) }
}
