import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

/** What one server asks too often for is refused to it, and to no other. */
const BURST = 5
let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let peers: SigningPeer[]
beforeAll(async () => {
  federation = await startFederation()
  const rate_limits = { federation: { per_second: 0.001, burst: BURST } }
  const config = {
    rate_limits,
    federation: { trusted_certificates: [federation.authority.certificate], allow_private_addresses: true },
  }
  ;[home, ...peers] = await Promise.all([
    federation.hearth({ config }),
    startSigningPeer(federation),
    startSigningPeer(federation),
  ])
})
afterAll(() => federation.dispose())

test('a server is told when to try again, and others are not held up', async () => {
  const [eager, other] = peers as [SigningPeer, SigningPeer]
  const request = { method: 'GET', path: '/_matrix/federation/v1/query/profile?user_id=%40nobody%3Ax' }
  for (let time = 0; time < BURST; time++) expect((await eager.send(home, request)).status).not.toBe(429)
  const refused = await eager.send(home, request)
  expect(refused.status).toBe(429)
  expect(JSON.parse(refused.text)).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: expect.any(Number) })
  expect((await other.send(home, request)).status).not.toBe(429)
  // Who only says to be that server is not counted as it.
  expect((await other.send(home, request, 'with another key')).status).toBe(401)
})
