import { Reply, route } from './http/route.ts'

/** Serves Prometheus metrics on listeners whose `serves` has `metrics`. */
export const getMetrics = route({
  method: 'GET',
  path: ['/metrics', '/_synapse/metrics'],
  auth: 'none',
  rateLimit: 'none',
  async handle(_call, app) {
    const text = await app.metrics.registry.metrics()
    return new Reply(200, text, { 'Content-Type': app.metrics.registry.contentType })
  },
})
