import { expect, test } from 'vitest'
import { loadOperations } from '../../spec-tests/openapi/operations.ts'
import { ENDPOINTS } from './endpoints.ts'

/** Operations of the client-server API that Hearth does not serve, each with the reason. Who mounts one takes its line away. */
const NOT_SERVED: Record<string, string> = {
  'GET /.well-known/matrix/policy_server': 'for policy servers, which Hearth is not',
  'POST /_matrix/client/v1/appservice/{}/ping': 'application services are to come',
  'PUT /_matrix/client/v3/directory/list/appservice/{}/{}': 'application services are to come',
  'GET /_matrix/client/v1/auth_metadata': 'the OAuth 2.0 API is to come; without it a server has no metadata',
  'GET /_matrix/client/v1/media/preview_url': 'previews of URLs are to come',
  'GET /_matrix/media/v3/preview_url': 'previews of URLs are to come',
  'GET /_matrix/client/v3/login/sso/redirect': 'single sign-on is to come, and no login flow offers it',
  'GET /_matrix/client/v3/login/sso/redirect/{}': 'single sign-on is to come, and no login flow offers it',
}

const nameOf = ({ method, path }: { method: string; path: string }) =>
  `${method} ${path.replace(/\{\w+\}|:\w+|\*\w+/g, '{}').replace(/\/$/, '')}`
const operations = loadOperations().map(nameOf)
const mounted = new Set(
  Object.values(ENDPOINTS).flatMap((endpoints) =>
    endpoints.flatMap(({ method, path }) => [path].flat().map((each: string) => nameOf({ method, path: each }))),
  ),
)

/** https://spec.matrix.org/v1.19/client-server-api/ */
test('every operation of the client-server API is mounted, or said not to be', () => {
  expect(operations.length).toBeGreaterThan(150)
  expect(operations.filter((name) => !mounted.has(name) && !NOT_SERVED[name])).toEqual([])
})

test('what is said not to be served is an operation, and not mounted', () => {
  expect(Object.keys(NOT_SERVED).filter((name) => mounted.has(name) || !operations.includes(name))).toEqual([])
})
