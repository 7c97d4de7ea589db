import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { App } from '../../app.ts'
import type { Config } from '../../config.ts'
import type { Appservice } from '../../core/appservice.ts'
import type { ServerSession } from '../../services/federation/trust/authenticate-server.ts'
import type { AppserviceSession, NeededScope, Session } from '../../services/users/session.ts'

export type { Session } from '../../services/users/session.ts'

/**
 * `none`: anyone; `optional`: with or without a token; `user`: a user's token, including guests if `guests` is set; `admin`: a server administrator's token; `appservice`: an application service's token; `server`: signed by another server.
 */
export type Auth = 'none' | 'optional' | 'user' | 'admin' | 'appservice' | 'server'

/** Categories of `rate_limits` in the configuration. */
export type RateLimit = 'none' | Exclude<keyof Config['rate_limits'], 'enabled'>

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined

export type Call<Params, Query, Body, S> = {
  params: Parsed<Params>
  query: Parsed<Query>
  /** The parsed body; for `body: 'stream'` read `request` instead. */
  body: Body extends 'stream' ? undefined : Parsed<Body>
  session: S
  /**
   * The application service that makes the request, if the endpoint has `appservices`; `unknown` for any other token.
   */
  appservice: Appservice | 'unknown' | undefined
  request: {
    headers: IncomingHttpHeaders
    ip: string
    userAgent: string | undefined
    raw: IncomingMessage
    path: string
  }
  /** The key to which the unread response counts: a user, another server, or the network of an anonymous client. */
  owner: string
  /** Aborted when the client disconnects or the server stops. */
  signal: AbortSignal
  /** For responses other than JSON: write here and return `RESPONDED`. */
  response: ServerResponse
}

/** Returned by a handler that has written its response itself. */
export const RESPONDED = Symbol('responded')

/** A response whose JSON text exists already. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** The response for an error, before it is rendered. */
export type ErrorAnswer = { status: number; body: Record<string, unknown>; headers: Record<string, string> }

/** A response with a status other than 200, or with headers. */
export class Reply {
  readonly status: number
  readonly body: unknown
  readonly headers: Record<string, string>
  constructor(status: number, body: unknown, headers: Record<string, string> = {}) {
    this.status = status
    this.body = body
    this.headers = headers
  }
}

type SessionOf<A extends Auth> = A extends 'none'
  ? undefined
  : A extends 'optional'
    ? Session | undefined
    : A extends 'server'
      ? ServerSession
      : A extends 'appservice'
        ? AppserviceSession
        : Session

export type Endpoint<
  A extends Auth = Auth,
  Params extends z.ZodType | undefined = z.ZodType | undefined,
  Query extends z.ZodType | undefined = z.ZodType | undefined,
  Body extends z.ZodType | 'stream' | undefined = z.ZodType | 'stream' | undefined,
> = {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD' | 'PATCH'
  /**
   * Path with `:parameters`; `*name` as the last segment matches the rest. A list: the same endpoint under several
   * paths (r0, v3, unstable).
   */
  path: string | string[]
  auth: A
  /**
   * For endpoints without required authentication: whether an optional token identifies the user on whose behalf other
   * servers are asked. Invalid tokens are ignored.
   */
  recognizesUsers?: boolean
  /** Whether application services may call it with their own token, which other callers do not need; default false. */
  appservices?: boolean
  /** Whether guests may call it; default false. */
  guests?: boolean
  /**
   * Whether locked users, and users whose account has expired, may call it (logging out); default false.
   * https://spec.matrix.org/v1.19/client-server-api/#account-locking
   */
  lockedUsers?: boolean
  /** Whether users whose account has expired may call it; default false. */
  expiredUsers?: boolean
  /**
   * Whether suspended users may call it, or only for the server notices room. Default: only if the method is GET, so
   * that endpoints that write are closed to them unless declared otherwise.
   * https://spec.matrix.org/v1.19/client-server-api/#account-suspension
   */
  suspendedUsers?: boolean | 'in the notices room'
  /**
   * The answer to a shadow-banned user, for whom the endpoint then does nothing; undefined: it does its work.
   */
  pretend?(call: Call<Params, Query, Body, SessionOf<A>>, app: App): object | undefined
  rateLimit?: RateLimit
  /** Further rate-limit categories that a request counts for, such as the invites of a new room. */
  alsoCounts?(call: Call<Params, Query, Body, SessionOf<A>>): Partial<Record<RateLimit, number>>
  params?: Params
  query?: Query
  /**
   * Absent: the body is not read. A schema receives `{}` for an empty body. 'stream': the handler reads `request.raw`.
   */
  body?: Body
  /** Whether the body is a form instead of JSON; a repeated field becomes a list. */
  isForm?: boolean
  /** Whether its requests are acts of administrators, for the audit log; default: if `auth` is admin and it changes something. */
  isAudited?: boolean
  /** Returns the user or the object that an act is about, for the audit log, if the request names it by another id. */
  auditTarget?(call: Call<Params, Query, Body, SessionOf<A>>, app: App): Promise<string | undefined>
  /**
   * The scope that an OAuth 2.0 token needs: the client-server API (the default), the identity of the user, or the admin
   * API of the Matrix Authentication Service.
   */
  needsScope?: NeededScope
  /**
   * Whether clients with a scoped token, as from OAuth 2.0, are refused: their users do this on the account page.
   * https://spec.matrix.org/v1.19/client-server-api/#oauth-20-aware-clients
   */
  onAccountPage?: boolean
  /** Renders an error in another form than the specification's JSON: pages do, and OAuth. */
  renderError?(error: ErrorAnswer, app: App, request: IncomingMessage): Reply
  handle(call: Call<Params, Query, Body, SessionOf<A>>, app: App): Promise<unknown> | unknown
}

/** An endpoint with any types of parameters, as the router mounts it. */
// biome-ignore lint/suspicious/noExplicitAny: endpoints of all types of parameters live in one list
export type AnyEndpoint = Endpoint<any, any, any, any>

/** Declares an endpoint as data, so that tests and documentation can list all of them. */
export function route<
  const A extends Auth,
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | 'stream' | undefined = undefined,
>(endpoint: Endpoint<A, Params, Query, Body>): Endpoint<A, Params, Query, Body> {
  return endpoint
}
