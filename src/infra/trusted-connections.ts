import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector } from 'undici'
import { isPrivateAddress, publicLookup } from './outgoing-http.ts'

export type ConnectionRules = {
  /** Files (PEM) of certificate authorities to trust besides the usual ones. */
  trustedCertificates: readonly string[]
  /** Whether connections may go to this machine and its private networks. */
  allowPrivateAddresses: boolean
}

/** Opens TLS connections to whoever has a certificate that we trust, and only where requests may go. */
export type Connect = (
  to: { host: string; port: number; certificateName: string },
  callback: buildConnector.Callback,
) => void

const CONNECT_TIMEOUT_MS = 10_000

/** Connections to other servers. Each call has its own cache of TLS sessions. */
export function createConnect(rules: ConnectionRules, secureContext: () => SecureContext): Connect {
  let connector: buildConnector.connector | undefined
  return ({ host, port, certificateName }, callback) => {
    if (!rules.allowPrivateAddresses && isPrivateAddress(host)) {
      callback(new Error(`${host} is a private address`), null)
      return
    }
    connector ??= buildConnector({
      timeout: CONNECT_TIMEOUT_MS,
      secureContext: secureContext(),
      ...(!rules.allowPrivateAddresses && { lookup: publicLookup }),
    } as buildConnector.BuildOptions)
    // For an IP address no SNI is sent, and the certificate has to be for the address.
    const servername = isName(certificateName) ? certificateName : undefined
    connector(
      { protocol: 'https:', hostname: host, host: certificateName, port: String(port), servername } as never,
      callback,
    )
  }
}

/** The certificate authorities to trust, read once when they are needed first. */
export function createTrust(rules: ConnectionRules): () => SecureContext {
  let context: SecureContext | undefined
  return () => {
    context ??= createSecureContext({ ca: trustedAuthorities(rules.trustedCertificates) })
    return context
  }
}

/** Node's, the system's and the configured certificate authorities (PEM). */
function trustedAuthorities(files: readonly string[]): string[] {
  const configured = files.map((file) => readFileSync(file, 'utf8'))
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...configured])]
}

/** For requests to any host by HTTPS, as for `.well-known`. */
export function createGuardedAgent(rules: ConnectionRules, secureContext: () => SecureContext): Agent {
  const connect = createConnect(rules, secureContext)
  return new Agent({
    connect: ({ hostname, port }, callback) => {
      const host = hostname.replace(/^\[|\]$/g, '')
      connect({ host, port: Number(port || 443), certificateName: host }, callback)
    },
  })
}

function isName(host: string): boolean {
  return !/^[\d.]+$/.test(host) && !host.includes(':')
}
