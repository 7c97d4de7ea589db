import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName } from '../../testing/matrix/pdu.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LocalService, startLocalService } from '../harness/local-service.ts'
import { signedRequest } from '../harness/lying-server.ts'
import { createRoom, roomPath, v1, v3 } from '../harness/rooms.ts'

/**
 * Addresses to which no remote server or user may send Hearth:
 * https://spec.matrix.org/v1.19/server-server-api/#security-considerations
 */
let federation: Awaited<ReturnType<typeof startFederation>>
let hearth: TestHearth
let alice: TestUser
let service: LocalService

beforeAll(async () => {
  federation = await startFederation(0)
  service = await startLocalService()
  federation.onDispose(() => service.stop())
  const trusted_certificates = [federation.authority.certificate]
  hearth = await federation.hearth({
    config: {
      federation: { trusted_certificates, allow_private_addresses: false },
      url_previews: { allow_private_addresses: false },
    },
  })
  alice = await registerUser(hearth.url)
}, 300_000)
afterAll(() => federation.dispose())

/** Addresses of this machine, and names that DNS or the resolver map to them. */
const HOSTS = [
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  'localhost',
  '0.0.0.0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::127.0.0.1]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:0:7f00:1]',
  '[2002:7f00:1::]',
  '0177.0.0.1',
]

test.each(HOSTS)('%s is not connected to, whoever names it', async (host) => {
  const server = `${host}:${service.port}`
  const name = encodeURIComponent
  const own = await createRoom(alice)
  const answers = await Promise.all([
    alice.ask('GET', `${v3}/profile/${name(`@x:${server}`)}`),
    alice.ask('GET', `${v3}/directory/room/${name(`#x:${server}`)}`),
    alice.ask('GET', `${v3}/publicRooms?server=${name(server)}`),
    alice.ask('GET', `${v1}/media/download/${name(server)}/x`),
    alice.ask('GET', `${v1}/media/preview_url?url=${name(`http://${server}/`)}`),
    alice.ask('GET', `${v1}/media/preview_url?url=${name(`https://${server}/`)}`),
    alice.ask('POST', `${v3}/join/${name('!x:elsewhere.example')}?via=${name(server)}`, {}),
    alice.ask('POST', roomPath(own, 'invite'), { user_id: `@x:${server}` }),
  ])
  for (const { status } of answers) expect(status).toBeGreaterThanOrEqual(400)
  for (const { status } of answers) expect(status).not.toBe(500)
  const keys = await alice.ask('POST', `${v3}/keys/query`, { device_keys: { [`@x:${server}`]: [] } })
  expect(keys.status === 400 || server in keys.body.failures).toBe(true)
  // Its keys would have to be fetched there.
  const signed = await signedRequest(federation, hearth, {
    origin: server as ServerName,
    path: '/_matrix/federation/v1/query/profile?user_id=x',
  })
  expect(signed.status).toBe(401)
  expect(service.connections()).toBe(0)
})
