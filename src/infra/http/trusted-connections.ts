import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector } from 'undici'
import { lookUpFor, type NameLookUp } from './name-look-up.ts'
import { isPrivateAddress } from './private-address.ts'

/** The trusted certificate authorities, loaded on first use: that takes 100 ms. */
export type Trust = () => SecureContext

/** The rules for outgoing connections. */
export type ConnectionRules = {
  trust: Trust
  lookUp: NameLookUp
  /** Whether connections may go to this machine and its private networks. */
  allowPrivateAddresses: boolean
  /** Bytes that one connection may receive, whatever they are; more close it. */
  maxReceived?: number
}

/** Opens connections only to allowed addresses, and TLS only with a trusted certificate. */
export type Connect = (
  to: { host: string; port: number; certificateName: string; isPlain?: boolean },
  callback: buildConnector.Callback,
) => void

const CONNECT_TIMEOUT_MS = 10_000

/** Each call has its own cache of TLS sessions. */
export function createConnect({ trust, lookUp, allowPrivateAddresses, maxReceived }: ConnectionRules): Connect {
  let connector: buildConnector.connector | undefined
  return ({ host, port, certificateName, isPlain = false }, callback) => {
    // IP addresses are not looked up, so they are checked here.
    if (!allowPrivateAddresses && isPrivateAddress(host)) {
      callback(new Error(`${host} is a private address`), null)
      return
    }
    connector ??= buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      secureContext: trust(),
      lookup: lookUpFor(lookUp, allowPrivateAddresses),
    } as buildConnector.BuildOptions)
    // For an IP address no SNI is sent, and the certificate must be for the address.
    const servername = isName(certificateName) ? certificateName : undefined
    const protocol = isPlain ? 'http:' : 'https:'
    const connected: buildConnector.Callback =
      maxReceived === undefined
        ? callback
        : (...result) => {
            if (result[1]) closeAfter(result[1], maxReceived)
            callback(...result)
          }
    connector({ protocol, hostname: host, host: certificateName, port: String(port), servername } as never, connected)
  }
}

/** The limits of bodies and headers do not count interim responses, sizes of chunks, and bytes that decompress to nothing. */
function closeAfter(socket: Socket, maxReceived: number): void {
  socket.on('readable', () => {
    if (socket.bytesRead > maxReceived) socket.destroy(new Error(`the answer is larger than ${maxReceived} bytes`))
  })
}

/** Returns the default certificate authorities and those in some PEM files, loaded once on first use. */
export function createTrust(files: readonly string[]): Trust {
  let context: SecureContext | undefined
  return () => {
    context ??= createSecureContext({ ca: trustedAuthorities(files) })
    return context
  }
}

/** The certificate authorities of Node, of the system and of the configuration (PEM). */
function trustedAuthorities(files: readonly string[]): string[] {
  const configured = files.map((file) => readFileSync(file, 'utf8'))
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...configured])]
}

/** An agent for requests to any host, such as for `.well-known`. */
export function createGuardedAgent(rules: ConnectionRules, options: Agent.Options = {}): Agent {
  const connect = createConnect(rules)
  return new Agent({
    ...options,
    connect: ({ hostname, port, protocol }, callback) => {
      const host = hostname.replace(/^\[|\]$/g, '')
      const isPlain = protocol === 'http:'
      connect({ host, port: Number(port || (isPlain ? 80 : 443)), certificateName: host, isPlain }, callback)
    },
  })
}

function isName(host: string): boolean {
  return !/^[\d.]+$/.test(host) && !host.includes(':')
}
