import Koa from 'koa'
import type { App } from '../../app.ts'
import { observe } from './observe.ts'
import type { AnyEndpoint } from './route.ts'
import { createRouter, methodsFor } from './router.ts'
import { serveEndpoint, unrecognized } from './serve.ts'

/** The koa application that serves some endpoints. `trustForwardedFor`: the client's address is in X-Forwarded-For. */
export function createHttpApp(
  app: App,
  command: { endpoints: readonly AnyEndpoint[]; trustForwardedFor: boolean },
): Koa {
  const koa = new Koa({ proxy: command.trustForwardedFor })
  koa.silent = true
  koa.use(observe(app))
  koa.use(createRouter(command.endpoints, (endpoint) => serveEndpoint(app, endpoint)))
  koa.use((context) => {
    throw unrecognized(methodsFor(command.endpoints, context.path))
  })
  return koa
}
