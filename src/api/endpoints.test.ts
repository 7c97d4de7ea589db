import { expect, test } from 'vitest'
import { APIS, loadOperations } from '../../testing/openapi/operations.ts'
import { OLD_SERVER_OPERATIONS, UNSTABLE_OPERATIONS } from '../../testing/openapi/unstable-operations.ts'
import { defaultConfig } from '../config.ts'
import { masEndpoints } from './admin/mas/mas-endpoints.ts'
import { ENDPOINTS, endpointsFor } from './endpoints.ts'
import { oauthEndpoints } from './oauth/oauth-endpoints.ts'
import { administratorPages, pageEndpoints } from './page-endpoints.ts'

/** Operations that Hearth does not serve, each with the reason. A change that mounts one removes its line. */
const NOT_SERVED: Record<string, string> = {
  'POST /_matrix/policy/v1/sign': 'for policy servers, which Hearth is not',
  'GET /_matrix/federation/v1/query/{}': 'each kind of query is an endpoint of its own',
}

const nameOf = ({ method, path }: { method: string; path: string }) =>
  `${method} ${path.replace(/\{\w+\}|:\w+|\*\w+/g, '{}').replace(/\/$/, '')}`
const mounted = new Map(
  Object.values(ENDPOINTS).flatMap((endpoints) =>
    endpoints.flatMap((endpoint) =>
      [endpoint.path].flat().map((path: string) => [nameOf({ method: endpoint.method, path }), endpoint] as const),
    ),
  ),
)

/** https://spec.matrix.org/v1.19/ */
test.each(APIS)('every operation of the %s API is mounted, or said not to be', (api) => {
  const operations = loadOperations(api).map(nameOf)
  expect(operations.length).toBeGreaterThan(30)
  expect(operations.filter((name) => !mounted.has(name) && !NOT_SERVED[name])).toEqual([])
})

test('every operation that is declared unserved exists, and is not mounted', () => {
  const operations = APIS.flatMap(loadOperations).map(nameOf)
  expect(Object.keys(NOT_SERVED).filter((name) => mounted.has(name) || !operations.includes(name))).toEqual([])
})

/**
 * Operations that `spec-tests/client-server/bad-input.test.ts` cannot test, each with the reason. Pages, OAuth 2.0
 * and the admin API of the Matrix Authentication Service have tests of their own: their errors are no JSON of Matrix.
 */
const NOT_TRIED: Record<string, string> = {
  'POST /_matrix/client/unstable/org.matrix.msc4108/rendezvous': 'plain text',
  'PUT /_matrix/client/unstable/org.matrix.msc4108/rendezvous/{}': 'plain text',
  'GET /metrics': 'plain text',
  ...Object.fromEntries(
    [
      'GET /_matrix/client/v1/rtc/transports',
      'GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports',
      'POST /livekit/jwt/sfu/get',
      'POST /livekit/jwt/get_token',
      'POST /livekit/jwt/delegate_delayed_leave',
      'POST /livekit/jwt/sfu_webhook',
      'POST /_matrix/client/v1/rtc/livekit/delegate_delayed_leave',
      'POST /_matrix/client/unstable/io.element.msc4195/rtc/livekit/delegate_delayed_leave',
      'GET /livekit/jwt/healthz',
      'POST /_matrix/federation/v1/rtc/livekit/get_token',
      'POST /_matrix/federation/unstable/io.element.msc4195/rtc/livekit/get_token',
    ].map((name) => [name, 'only with LiveKit: spec-tests/whole/calls.test.ts']),
  ),
}

test('everything that is mounted is tried with bad input, under one of its names', () => {
  const tried = new Set([...APIS.flatMap(loadOperations), ...UNSTABLE_OPERATIONS, ...OLD_SERVER_OPERATIONS].map(nameOf))
  const others = new Set([...pageEndpoints, ...administratorPages, ...oauthEndpoints, ...masEndpoints])
  const untried = Object.values(ENDPOINTS).flatMap((endpoints) =>
    endpoints
      .filter((endpoint) => !others.has(endpoint))
      .flatMap(({ method, path }) => {
        const names = [path].flat().map((each: string) => nameOf({ method, path: each }))
        return names.some((name) => tried.has(name) || NOT_TRIED[name]) ? [] : names
      }),
  )
  expect(untried).toEqual([])
})

/** https://spec.matrix.org/v1.19/server-server-api/#request-authentication */
test('endpoints for servers verify signatures', () => {
  const signed = loadOperations('server-server').filter(({ auth }) => auth === 'server')
  const endpoints = signed.map((operation) => [nameOf(operation), mounted.get(nameOf(operation))?.auth] as const)
  expect(endpoints.filter(([, auth]) => auth !== undefined && auth !== 'server')).toEqual([])
})

test('without OAuth 2.0 nothing of it is mounted, so that clients get M_UNRECOGNIZED and use /login', () => {
  const pathsWith = (oauth: { enabled: boolean }) =>
    new Set(endpointsFor(['client'], defaultConfig({ oauth })).flatMap(({ path }) => path as string[]))
  const [on, off] = [pathsWith({ enabled: true }), pathsWith({ enabled: false })]
  const gone = [...on].filter((path) => !off.has(path))
  expect(gone).toEqual(
    expect.arrayContaining(['/_matrix/client/v1/auth_metadata', '/oauth2/token', '/oauth2/authorize']),
  )
  expect([...off].filter((path) => /oauth|auth_metadata|openid-configuration|consent|^\/device/.test(path))).toEqual([])
  expect(off).toContain('/_matrix/client/v3/login')
})

test('without federation, token services of calls elsewhere can still verify users, on listeners for clients', () => {
  const config = defaultConfig({ federation: { enabled: false } })
  const paths = endpointsFor(['client', 'federation'], config).flatMap(({ path }) => path as string[])
  expect(paths).toContain('/_matrix/federation/v1/openid/userinfo')
  expect(paths.filter((path) => path.startsWith('/_matrix/federation/'))).toHaveLength(1)
})
