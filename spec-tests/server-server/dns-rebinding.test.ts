import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import { type LocalService, startLocalService } from '../harness/local-service.ts'
import { createRoom, joinRoom, roomPath, v1, v3 } from '../harness/rooms.ts'
import { type ScriptedResolver, startScriptedResolver } from '../harness/scripted-resolver.ts'

/** Names that resolve to a public address first, and to this machine afterwards (DNS rebinding). */
let federation: Awaited<ReturnType<typeof startFederation>>
let resolver: ScriptedResolver
let alice: TestUser
let bob: TestUser
/** The target of the attack. */
let service: LocalService

beforeAll(async () => {
  federation = await startFederation(0)
  service = await startLocalService()
  federation.onDispose(() => service.stop())
  resolver = await startScriptedResolver()
  federation.onDispose(() => resolver.stop())
  const trusted_certificates = [federation.authority.certificate]
  const { url } = await federation.hearth({
    nodeArguments: resolver.nodeArguments,
    config: {
      federation: { trusted_certificates, allow_private_addresses: false },
      url_previews: { allow_private_addresses: false },
    },
  })
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
}, 300_000)
afterAll(() => federation.dispose())

const name = encodeURIComponent
const invited = { id_access_token: 'x', medium: 'email', address: 'x@example.org' }

/** Requests that make Hearth resolve the name of `server`: each call resolves it again. */
const WAYS: [string, (server: string) => Promise<unknown>][] = [
  ['a profile of another server', (server) => alice.ask('GET', `${v3}/profile/${name(`@x:${server}`)}`)],
  ['an alias of another server', (server) => alice.ask('GET', `${v3}/directory/room/${name(`#x:${server}`)}`)],
  ['a file of another server', (server) => alice.ask('GET', `${v1}/media/download/${name(server)}/x`)],
  [
    'a join by way of another server',
    (server) => alice.ask('POST', `${v3}/join/${name('!x:y.example')}?via=${name(server)}`, {}),
  ],
  [
    'an identity server',
    async (id_server) => alice.ask('POST', roomPath(await createRoom(alice), 'invite'), { ...invited, id_server }),
  ],
  ['a push gateway', notifyThrough],
  ['the preview of a page', (server) => alice.ask('GET', preview(`https://${server}`))],
  ['the preview of a page without TLS', (server) => alice.ask('GET', preview(`http://${server}`))],
]

let pages = 0
/** Each page has another path: failures are stored. */
const preview = (site: string) => `${v1}/media/preview_url?url=${name(`${site}/${pages++}`)}`

/** Sets a pusher of Bob, and sends him a message. */
async function notifyThrough(gateway: string): Promise<void> {
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  await bob.post(`${v3}/pushers/set`, {
    app_id: 'app',
    pushkey: gateway,
    kind: 'http',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: `https://${gateway}/_matrix/push/v1/notify` },
  })
  await alice.put(roomPath(roomId, `send/m.room.message/${name(roomId)}`), { msgtype: 'm.text', body: 'hello' })
}

test.each(WAYS.map(([what, ask], place) => [what, ask, place] as const))('%s', async (_, ask, place) => {
  const host = `way${place}.rebinding.test`
  await pollUntil('the name leads to this machine', async () => {
    await ask(`${host}:${service.port}`)
    return resolver.rebound(host) > 0
  })
  await ask(`${host}:${service.port}`)
  expect(service.connections()).toBe(0)
})
