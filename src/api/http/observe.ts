import type { Middleware } from 'koa'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { ClientLeftError } from './client-left.ts'
import { CORS_HEADERS } from './cors.ts'
import { countBytes } from './count-bytes.ts'
import { blameOthers, errorResponse } from './errors.ts'
import { forgetRest } from './forget-rest.ts'
import type { AnyEndpoint } from './route.ts'

/** Returns the outermost middleware: request ID, CORS, error responses, access log, metrics. */
export function observe(app: App): Middleware {
  return async (context, next) => {
    const started = performance.now()
    const requestId = app.random.token(10)
    context.set(CORS_HEADERS)
    forgetRest(context.req, context.res)
    const bytes = countBytes(context.req.socket)
    context.res.once('close', () => record(app, context, { requestId, started, ...bytes() }))
    if (context.method === 'OPTIONS') {
      context.status = 204
      return
    }
    try {
      await next()
    } catch (error) {
      answerError(app, context, blameOthers(error), requestId)
    }
  }
}

type Context = Parameters<Middleware>[0]

function answerError(app: App, context: Context, error: unknown, requestId: string): void {
  if (!(error instanceof MatrixError) && !(error instanceof ClientLeftError)) {
    app.logger.error({ err: error, request_id: requestId, method: context.method, url: context.url }, 'request failed')
  }
  // Closes the connection of a client that was too slow.
  if (isTimeout(error)) context.set('Connection', 'close')
  if (context.res.headersSent) {
    context.res.destroy()
    return
  }
  const answer = errorResponse(error)
  const endpoint = context.state.endpoint as AnyEndpoint | undefined
  const { status, body, headers } = endpoint?.renderError?.(answer, app, context.req) ?? answer
  context.state.errcode = answer.body.errcode
  context.respond = true
  context.status = status
  context.set(answer.headers)
  context.set('Content-Type', 'application/json')
  context.set(headers)
  context.body = typeof body === 'string' ? body : JSON.stringify(body)
}

function isTimeout(error: unknown): boolean {
  return error instanceof MatrixError && error.status === 408
}

type Ended = { requestId: string; started: number; received: number; sent: number }

function record(app: App, context: Context, { requestId, started, received, sent }: Ended): void {
  const endpoint = context.state.endpoint as AnyEndpoint | undefined
  const route = endpoint ? [endpoint.path].flat()[0]! : 'unknown'
  const seconds = (performance.now() - started) / 1000
  const { status } = context.res.headersSent ? { status: context.res.statusCode } : { status: 499 }
  const { method, req } = context
  const peer = endpoint?.auth === 'server' ? context.state.userId : undefined
  const client = app.metrics.clientKind(req.headers)
  app.metrics.countRequest({ route, method, status, seconds, received, sent, client, peer })
  if (!app.logger.isLevelEnabled('debug')) return
  app.logger.debug(
    {
      request_id: requestId,
      method: context.method,
      url: context.url,
      status,
      // Never logs the message: it may contain user input.
      errcode: context.state.errcode,
      user_id: context.state.userId,
      ms: Math.round(seconds * 1000),
    },
    'request',
  )
}
