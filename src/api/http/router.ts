import Router from '@koa/router'
import type { Middleware } from 'koa'
import type { AnyEndpoint } from './route.ts'

/**
 * Finds the endpoint of a request. @koa/router tries its routes one after the other. Therefore there is one router per
 * fixed path prefix (`/_matrix/client/v3/rooms`), found in a map.
 */
export function createRouter(
  endpoints: readonly AnyEndpoint[],
  serve: (endpoint: AnyEndpoint) => Middleware,
): Middleware {
  const routers = new Map<string, Router>()
  for (const endpoint of endpoints) {
    for (const path of [endpoint.path].flat()) {
      const head = fixedHead(path)
      const router = routers.get(head) ?? new Router()
      routers.set(
        head,
        router.register(path.replace(/\/\*(\w+)$/, '/{*$1}'), methodsOf(endpoint), serve(endpoint)) && router,
      )
    }
  }
  const middleware = new Map([...routers].map(([head, router]) => [head, router.routes()]))
  return async (context, next) => {
    for (const head of headsOf(context.path)) {
      await middleware.get(head)?.(context as never, async () => {})
      if (context.state.endpoint) return
    }
    await next()
  }
}

/** Returns the methods of the endpoints at a path; empty for an unknown path. */
export function methodsFor(endpoints: readonly AnyEndpoint[], requestPath: string): string[] {
  const methods = new Set<string>()
  for (const endpoint of endpoints) {
    if ([endpoint.path].flat().some((path) => patternOf(path).test(requestPath))) methods.add(endpoint.method)
  }
  return [...methods]
}

const MAX_HEAD = 4

function methodsOf(endpoint: AnyEndpoint): string[] {
  return endpoint.method === 'GET' ? ['GET', 'HEAD'] : [endpoint.method]
}

function fixedHead(path: string): string {
  const segments = path.split('/').slice(1)
  const open = segments.findIndex((segment) => segment.startsWith(':') || segment.startsWith('*'))
  return `/${segments.slice(0, Math.min(MAX_HEAD, open === -1 ? segments.length : open)).join('/')}`
}

function headsOf(path: string): string[] {
  const segments = path.split('/').slice(1, MAX_HEAD + 1)
  return segments.map((_, place) => `/${segments.slice(0, segments.length - place).join('/')}`)
}

function patternOf(path: string): RegExp {
  const source = path
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.startsWith('*') ? '.*' : escapeText(segment)))
  return new RegExp(`^${source.join('/')}/?$`)
}

function escapeText(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
