import type { AdminAct } from '../../services/users/administration/audit-log.ts'
import type { AnyEndpoint, Session } from './route.ts'

/** Names of secrets in bodies. */
const SECRETS: readonly string[] = ['password', 'new_password', 'mac', 'nonce', 'auth']

/**
 * Returns the act of an administrator that a request is, for the audit log: a change through an endpoint for
 * administrators, or a request that the endpoint declares as one. Undefined: it is none.
 */
export function adminActOf(
  { auth, method, path, isAudited = auth === 'admin' && method !== 'GET' }: AnyEndpoint,
  { params, query, body }: Parameters,
  { session, ip }: { session: Session | undefined; ip: string },
): AdminAct | undefined {
  if (!isAudited) return undefined
  const details = { ...params, ...query, ...withoutSecrets(body) }
  return {
    actor: session?.userId ?? 'shared secret',
    action: `${method} ${[path].flat()[0]}`,
    target: targetOf({ params, body }),
    details,
    // Commands that open the database come through a socket without an address.
    address: ip === '' ? null : ip,
  }
}

/** Parsed parameters of a request. */
type Parameters = Partial<Record<'params' | 'query' | 'body', Readonly<Record<string, unknown>> | undefined>>

function withoutSecrets(body: Parameters['body'] = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, SECRETS.includes(name) && value != null ? '(secret)' : value]),
  )
}

/** Returns the user or room that the request is about; otherwise the object that the path names. */
function targetOf({ params = {}, body = {} }: Parameters): string | null {
  const named = params.userId ?? params.roomId ?? params.roomIdOrAlias
  if (typeof named === 'string') return named
  const inPath = Object.values(params).filter((value) => typeof value === 'string')
  if (inPath.length > 0) return inPath.join('/')
  const inBody = body.user_id ?? body.username
  return typeof inBody === 'string' ? inBody : null
}
