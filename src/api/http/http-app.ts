import Koa from 'koa'
import type { App } from '../../app.ts'
import { clientAddress } from './client-address.ts'
import { observe } from './observe.ts'
import type { AnyEndpoint } from './route.ts'
import { createRouter, methodsFor } from './router.ts'
import { serveEndpoint, unrecognized } from './serve.ts'

/** Creates the koa application for some endpoints. `trustedProxies`: the number of reverse proxies in front. */
export function createHttpApp(app: App, command: { endpoints: readonly AnyEndpoint[]; trustedProxies: number }): Koa {
  const koa = new Koa()
  koa.silent = true
  koa.use((context, next) => {
    context.request.ip = clientAddress(context.req, command.trustedProxies)
    return next()
  })
  koa.use(observe(app))
  koa.use(createRouter(command.endpoints, (endpoint) => serveEndpoint(app, endpoint)))
  koa.use((context) => {
    throw unrecognized(methodsFor(command.endpoints, context.path))
  })
  return koa
}
