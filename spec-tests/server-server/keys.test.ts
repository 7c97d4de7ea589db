import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFederation } from '../harness/federation.ts'
import { askServer } from '../harness/peer.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
beforeAll(async () => {
  federation = await startFederation(2)
})
afterAll(() => federation.dispose())

/** Returns a copy with sorted keys. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, ordered(item)]),
  )
}

/** https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys */
test('a server publishes its keys, and as a notary those of others', async () => {
  const [one, other] = federation.servers.map((server) => server.serverName) as [string, string]
  const own = await askServer(federation, one, '/_matrix/key/v2/server')
  expect(own).toMatchObject({ status: 200, body: { server_name: one } })
  const { signatures: _, ...signed } = own.body
  // Some servers verify the text as received, without sorting it.
  expect(JSON.stringify(signed)).toBe(JSON.stringify(ordered(signed)))
  const [keyId] = Object.keys(own.body.verify_keys)
  expect(Object.keys(own.body.signatures[one])).toEqual([keyId])
  expect(own.body.valid_until_ts).toBeGreaterThan(Date.now())
  const told = await askServer(federation, other, `/_matrix/key/v2/query/${encodeURIComponent(one)}`)
  expect(told.body.server_keys).toHaveLength(1)
  expect(told.body.server_keys[0]).toMatchObject({ server_name: one, verify_keys: own.body.verify_keys })
  expect(Object.keys(told.body.server_keys[0].signatures).sort()).toEqual([one, other].sort())
})
