import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { ForbiddenError } from '../../core/errors.ts'
import { createLogger } from '../../infra/logger.ts'
import { createTestApp } from '../../testing/create-test-app.ts'
import { createHttpApp } from './http-app.ts'
import { type AnyEndpoint, Reply, route } from './route.ts'

const SECRET = 'what a user wrote'
const lines: Record<string, unknown>[] = []
const write = (line: string) => void lines.push(JSON.parse(line))
const app = await createTestApp({ logger: createLogger({ level: 'debug', format: 'json' }, { write }) })

function endpoint(path: string, handle: () => unknown): AnyEndpoint {
  return route({ method: 'POST', path, auth: 'none', body: z.object({ number: z.number().optional() }), handle })
}

const endpoints = [
  endpoint('/fine', () => ({})),
  endpoint('/forbidden', () => {
    throw new ForbiddenError(`You may not send ${SECRET}`)
  }),
  endpoint('/login', () => new Reply(401, { errcode: 'M_FORBIDDEN', flows: [] })),
  endpoint('/interactive', () => new Reply(401, { flows: [] })),
  endpoint('/redirect', () => new Reply(302, 'elsewhere')),
]

let url: string
const server = createServer(createHttpApp(app, { endpoints, trustedProxies: 0 }).callback())
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
  return app.close()
})

test.each([
  ['/fine', '{}', 200, undefined],
  ['/redirect', '{}', 302, undefined],
  ['/forbidden', '{}', 403, 'M_FORBIDDEN'],
  ['/login', '{}', 401, 'M_FORBIDDEN'],
  ['/interactive', '{}', 401, undefined],
  ['/fine', `{"number":"${SECRET}"}`, 400, 'M_BAD_JSON'],
  ['/fine', SECRET, 400, 'M_NOT_JSON'],
  ['/nowhere', '{}', 404, 'M_UNRECOGNIZED'],
])('the debug line of POST %s with %s has status %i and errcode %s', async (path, body, status, errcode) => {
  lines.length = 0
  await fetch(url + path, { method: 'POST', body, redirect: 'manual' })
  await expect.poll(() => lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ msg: 'request', url: path, status })
  expect(lines[0]!.errcode).toBe(errcode)
  expect(JSON.stringify(lines)).not.toContain(SECRET)
})
