import type { ServerName } from '../../core/ids.ts'
import type { FederationConnections } from '../../infra/federation/federation-connections.ts'
import { type ServerTarget, splitServerName } from '../../infra/federation/server-discovery.ts'
import { readBounded } from '../../infra/http/read-bounded.ts'

/** The answer of a homeserver, discovered as other servers do. Not ok: `why`, and how to fix it; `target` undefined: discovery failed. */
export type ServerAnswer =
  | { ok: true; target: ServerTarget; body: Record<string, unknown>; date: number | undefined }
  | { ok: false; target: ServerTarget | undefined; why: string; fix: string }

const TIMEOUT_MS = 15_000
const MAX_BYTES = 1024 * 1024

/** A request to a homeserver, unsigned; `body` makes it a POST. `expected`: the status of a good answer, 200 by default. */
export async function askServer(
  connections: FederationConnections,
  serverName: ServerName,
  { path, body, expected = 200 }: { path: string; body?: unknown; expected?: number },
): Promise<ServerAnswer> {
  let target: ServerTarget | undefined
  try {
    const found = await connections.to(serverName)
    target = found.target
    const answer = await found.dispatcher.request({
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: { host: target.hostHeader, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = (await readBounded(answer.body, MAX_BYTES)).toString()
    const failed = (why: string) => ({ ok: false, target, why, fix: NO_HOMESERVER }) as const
    if (answer.statusCode !== expected) return failed(`${path.replace(/\?.*/, '')} answers ${answer.statusCode}`)
    const json = parseObject(text)
    if (!json) return failed(`the answer of ${path} is not a JSON object`)
    const date = Date.parse(String(answer.headers.date))
    return { ok: true, target, body: json, date: Number.isNaN(date) ? undefined : date }
  } catch (error) {
    return { ok: false, target, ...explain(error as Error, target) }
  }
}

/** Describes how a server was discovered. */
export function describeTarget(serverName: string, { hostHeader, addresses }: ServerTarget): string {
  const places = addresses.map(({ host, port }) => `${host}:${port}`).join(', ') || 'nowhere'
  const delegated = hostHeader === serverName ? '' : `, as .well-known/matrix/server delegates`
  const isSrv = addresses.some(({ host }) => host !== splitServerName(hostHeader).host)
  return `${places}${isSrv ? ' (by SRV record)' : ''}${delegated}`
}

const NO_HOMESERVER =
  'Another program answers there. Make the reverse proxy pass /_matrix on unchanged, or correct the delegation in /.well-known/matrix/server.'

const FIXES: Record<string, string> = {
  ENOTFOUND: 'The name has no address. Correct DNS, or the name.',
  EAI_AGAIN: 'DNS does not answer. Correct the resolvers of this machine.',
  ECONNREFUSED:
    'Nothing listens there. Start the server, open the port, or correct the delegation in /.well-known/matrix/server.',
  UND_ERR_CONNECT_TIMEOUT: 'Nothing answers there. Open the port in the firewall, and forward it.',
  ETIMEDOUT: 'Nothing answers there. Open the port in the firewall, and forward it.',
  CERT_HAS_EXPIRED: 'Renew the certificate.',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'The certificate must be for the name in the delegation, or without delegation for the server name itself.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'Serve the whole chain: the certificate, then the intermediate certificates (fullchain.pem).',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'Get a certificate from a known authority. For a private federation, name its authority in federation.trusted_certificates.',
  SELF_SIGNED_CERT_IN_CHAIN:
    'Get a certificate from a known authority. For a private federation, name its authority in federation.trusted_certificates.',
}

function explain(error: Error & { code?: string }, target: ServerTarget | undefined): { why: string; fix: string } {
  if (error.name === 'TimeoutError') return { why: `no answer in ${TIMEOUT_MS / 1000} s`, fix: FIXES.ETIMEDOUT! }
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause
  if (inner instanceof Error) return explain(inner, target)
  const wrongHost = `${FIXES.ERR_TLS_CERT_ALTNAME_INVALID} That is ${target?.certificateName}.`
  const fix = error.code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? wrongHost : FIXES[error.code ?? '']
  const privateAddress = /private address|no public address/.test(error.message)
  const otherwise = privateAddress
    ? 'Servers are reached at public addresses only. For a private federation, set federation.allow_private_addresses.'
    : 'Check the network and the other server.'
  return { why: error.message, fix: fix ?? otherwise }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
