import type { Context, Middleware } from 'koa'
import type { App } from '../../app.ts'
import type { Appservice } from '../../core/appservice.ts'
import { MatrixError } from '../../core/errors.ts'
import type { Asker } from '../../infra/federation/asked-lanes.ts'
import { onBehalfOf } from '../../services/federation/requests/on-behalf-of.ts'
import type { ServerSession } from '../../services/federation/trust/authenticate-server.ts'
import { type AdminAct, recordAct, recordWhenDone } from '../../services/users/administration/audit-log.ts'
import { adminActOf } from './admin-act.ts'
import { authenticate, authenticateAppservice, recognize } from './authenticate.ts'
import { receiveSigned } from './authenticate-server.ts'
import { readFormBody, readJsonBody } from './body.ts'
import { ClientLeftError } from './client-left.ts'
import { blameRequest, parsePart } from './errors.ts'
import { networkOf } from './network-of.ts'
import { requestRate } from './request-rate.ts'
import { type AnyEndpoint, RawJson, RESPONDED, Reply, type Session } from './route.ts'
import { sendText } from './send-text.ts'

/** Parsing and validating takes time in proportion to the size: a request counts one more per this many bytes. */
const COUNTED_BYTES = 64 * 1024

/** Returns the middleware of one endpoint: authenticate, rate-limit, validate, handle, respond. */
export function serveEndpoint(app: App, endpoint: AnyEndpoint): Middleware {
  const { rateLimiter } = app
  return async (context) => {
    context.state.endpoint = endpoint
    const query = new URLSearchParams(context.querystring)
    if (endpoint.auth === 'server') {
      const { session, body } = await receiveSigned(app, context.req, context.ip)
      context.state.userId = session.origin
      // Limited only after authentication, so that nobody can use up the limit of another server.
      await rateLimiter.take('federation', session.origin)
      const call = callOf(app, endpoint, context, { query, session, owner: session.origin, body })
      const asked = onBehalfOf(app, { kind: 'server', id: session.origin })
      const result = await handle(asked, endpoint, { call, url: context.url, body })
      return respond(app, context, { result, owner: session.origin })
    }
    const { req: raw, ip, params } = context
    const session = await authenticate(app, endpoint, { raw, query, ip, params })
    const asking = session ?? (await recognize(app, endpoint, { raw, query, ip, params }))
    context.state.userId = session?.userId
    const appservice = authenticateAppservice(app, endpoint, { raw: context.req, query })
    const isLimited = !session?.exemptFromRateLimits && (appservice ?? 'unknown') === 'unknown'
    const count = isLimited ? counting(app, whoOf(endpoint, session, ip), session) : async () => {}
    await count(endpoint.rateLimit ?? 'default', 1)
    const admit = (bytes: number) => count('default', Math.floor(bytes / COUNTED_BYTES))
    const body = await bodyFor(endpoint, context, { limits: app.config.limits, admit })
    const owner = session?.userId ?? networkOf(context.ip)
    const call = callOf(app, endpoint, context, { query, session, owner, appservice, body })
    if (isLimited) {
      for (const [category, weight] of Object.entries(endpoint.alsoCounts?.(call) ?? {})) await count(category, weight)
    }
    const pretended = session?.isShadowBanned ? endpoint.pretend?.(call, app) : undefined
    if (pretended) return respond(app, context, { result: pretended, owner })
    const perform = (within: App) =>
      handle(onBehalfOf(within, askerOf(asking, ip)), endpoint, { call, url: context.url, body })
    const act = await actOf(app, endpoint, call, { session, ip })
    const record = session ? recordAct : recordWhenDone
    respond(app, context, { result: await (act ? record(app, act, perform) : perform(app)), owner })
  }
}

async function actOf(
  app: App,
  endpoint: AnyEndpoint,
  call: ReturnType<typeof callOf>,
  from: { session: Session | undefined; ip: string },
): Promise<AdminAct | undefined> {
  const act = adminActOf(endpoint, call, from)
  const target = act && (await endpoint.auditTarget?.(call, app))
  return target === undefined ? act : { ...act!, target }
}

/** Returns a function that counts requests. */
function counting(app: App, who: string, session: Session | undefined) {
  return async (category: string, count: number): Promise<void> => {
    const rate = requestRate(app, category, session)
    if (rate !== 'unlimited') await app.rateLimiter.take(category, who, { count, rate })
  }
}

async function bodyFor(
  endpoint: AnyEndpoint,
  { req }: Context,
  { limits, admit }: { limits: App['config']['limits']; admit: (bytes: number) => Promise<void> },
): Promise<unknown> {
  if (!endpoint.body || endpoint.body === 'stream') return {}
  return endpoint.isForm ? objectOf(await readFormBody(req, limits)) : readJsonBody(req, limits, admit)
}

async function handle(
  app: App,
  endpoint: AnyEndpoint,
  { call, ...request }: { call: ReturnType<typeof callOf>; url: string; body: unknown },
): Promise<unknown> {
  try {
    return await endpoint.handle(call, app)
  } catch (error) {
    throw blameRequest(error, request)
  }
}

/** Guests count by network: anyone can register any number of them. */
function askerOf(session: Session | undefined, ip: string): Asker {
  return session && !session.isGuest ? { kind: 'user', id: session.userId } : { kind: 'network', id: networkOf(ip) }
}

type Answer = { result: unknown; owner: string }

function respond(app: App, context: Context, answer: Answer): void {
  if (answer.result !== RESPONDED) writeAnswer(app, context, answer)
  else context.respond = false
}

/**
 * Returns the rate-limit key of a request. Login and registration count by network here, and by account where the
 * password is checked. Everything else counts by user, if known.
 */
function whoOf(endpoint: AnyEndpoint, session: Session | undefined, ip: string): string {
  const isGettingIn = endpoint.rateLimit === 'login' || endpoint.rateLimit === 'registration'
  return session && !isGettingIn ? session.userId : networkOf(ip)
}

function callOf(
  app: App,
  endpoint: AnyEndpoint,
  context: Context,
  {
    query,
    session,
    owner,
    appservice,
    body: json,
  }: {
    query: URLSearchParams
    session: Session | ServerSession | undefined
    owner: string
    appservice?: Appservice | 'unknown' | undefined
    body: unknown
  },
) {
  const { params, query: querySchema, body } = endpoint
  return {
    session,
    owner,
    appservice,
    params: params && parsePart('path', params, context.params),
    query: querySchema && parsePart('query', querySchema, objectOf(query)),
    body: body && body !== 'stream' ? parsePart('body', body, json) : undefined,
    request: {
      headers: context.req.headers,
      ip: context.ip,
      userAgent: context.req.headers['user-agent'],
      raw: context.req,
      path: context.path,
    },
    // Created lazily, since few handlers need it.
    get signal() {
      return goneSignal(app, context)
    },
    response: context.res,
  }
}

/** Converts a query or a form into an object. A repeated parameter becomes a list. */
function objectOf(query: URLSearchParams): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {}
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name)
    Object.defineProperty(result, name, { value: values.length === 1 ? values[0]! : values, enumerable: true })
  }
  return result
}

/** Shared: creating an error costs more than everything else at the end of a request. */
const GONE = new ClientLeftError()

function goneSignal(app: App, context: Context): AbortSignal {
  const gone = new AbortController()
  context.res.once('close', () => gone.abort(GONE))
  return AbortSignal.any([gone.signal, app.stopping])
}

/** Some 4xx responses have no errcode: user-interactive authentication continues with 401. */
function errcodeOf({ status, body }: Reply): unknown {
  return status >= 400 && typeof body === 'object' && body !== null && 'errcode' in body ? body.errcode : undefined
}

function writeAnswer(app: App, context: Context, { result, owner }: Answer): void {
  const reply = result instanceof Reply ? result : new Reply(200, result)
  context.status = reply.status
  context.set(reply.headers)
  context.state.errcode = errcodeOf(reply)
  const { body } = reply
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    if (!context.response.get('Content-Type')) context.type = 'text/plain; charset=utf-8'
    context.body = body
    return
  }
  const text = body instanceof RawJson ? body.text : JSON.stringify(body ?? {})
  context.set('Content-Type', 'application/json')
  sendText(app, context, { text, owner })
}

/**
 * Returns the error for unknown paths and methods: https://spec.matrix.org/v1.19/client-server-api/#common-error-codes
 */
export function unrecognized(allowed: readonly string[]): MatrixError {
  return allowed.length > 0
    ? new MatrixError(405, 'M_UNRECOGNIZED', `This path supports only ${allowed.join(', ')}`)
    : new MatrixError(404, 'M_UNRECOGNIZED', 'Unrecognized request')
}
