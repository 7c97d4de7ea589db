import { startAppservice, type TestAppservice } from '../harness/appservice.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { type Homeserver, type Place, startHomeserver } from '../harness/homeserver-places.ts'
import { startMailServer } from '../harness/mail-server.ts'
import { type PushGateway, startPushGateway } from '../harness/push-gateway.ts'
import { createRoom, joinRoom } from '../harness/rooms.ts'
import { newAdmin } from './fuzz-users.ts'
import type { Actor, KnownRoom } from './known-values.ts'

/** A homeserver for the fuzzer, and bystanders who must not be affected. */
export type FuzzWorld = Homeserver & {
  federation: TestFederation
  /** Members of the shared room; nobody else has power there. */
  alice: TestUser
  bob: TestUser
  shared: KnownRoom
  /** Joins rooms in which the fuzzer has power. */
  carol: TestUser
  admin: Actor
  /** A user of an application service. */
  bot: Actor
  appservice: TestAppservice
  gateway: PushGateway
  /** Of the last verification mail. */
  link: { sid: string; token: string }
  /** Drops the requests that the harness has recorded. */
  forget(): void
}

export async function startFuzzWorld(place: Place, nodeArguments: string[]): Promise<FuzzWorld> {
  const federation = await startFederation()
  try {
    const mails = await startMailServer()
    federation.onDispose(() => mails.stop())
    const gateway = await startPushGateway()
    federation.onDispose(() => gateway.close())
    const appservice = await startAppservice('fuzz', { protocols: ['irc'], 'de.sorunome.msc2409.push_ephemeral': true })
    federation.onDispose(() => appservice.dispose())
    appservice.respond = async ({ path }) => ({ status: 200, body: answerOf(path) })
    const config = {
      // So small that the caches are full after the warm-up: any growth after that has another cause.
      database: { cache_size: '8M' },
      email: { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false },
      registration: { enabled: true, guests: true, shared_secret: 'a secret that only tests know' },
      appservices: [appservice.registrationFile],
      media: { unauthenticated_downloads: true },
      support: { contacts: [{ matrix_id: '@admin:hearth.test' }] },
      policy_server: { public_key: '6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s' },
    }
    const homeserver = await startHomeserver(federation, place, { nodeArguments, config })
    const { url } = homeserver
    const [alice, bob, carol] = [await registerUser(url), await registerUser(url), await registerUser(url)]
    const roomId = await createRoom(alice, { name: 'Shared', room_version: '11' })
    await joinRoom(roomId, bob)
    const shared: KnownRoom = { roomId, version: '11', events: [], members: new Set() }
    shared.events.push(await sendText(alice, roomId, 'hello'))
    const admin = await newAdmin(url)
    const bot = await newBot(homeserver, appservice)
    const link = { sid: 'unknown', token: 'unknown' }
    const forget = () => {
      mails.received.length = 0
      gateway.received.length = 0
      appservice.calls.length = 0
      appservice.transactions.clear()
    }
    const world = { federation, alice, bob, carol, shared, admin, bot, appservice, gateway, forget }
    return {
      ...homeserver,
      ...world,
      get link() {
        return linkIn(mails.received.at(-1)?.text) ?? link
      },
    }
  } catch (error) {
    await federation.dispose()
    throw error
  }
}

function linkIn(text = ''): FuzzWorld['link'] | undefined {
  const [, sid, token] = /confirm_email\/([\w-]+)\/([\w-]+)/.exec(text) ?? []
  return sid && token ? { sid, token } : undefined
}

/** Returns the application service's responses to requests other than transactions. */
function answerOf(path: string): unknown {
  if (!path.includes('/thirdparty/')) return {}
  const fields = { network: 'fuzz' }
  if (path.includes('/protocol/')) {
    return { user_fields: ['nick'], location_fields: ['channel'], icon: 'mxc://x/y', field_types: {}, instances: [] }
  }
  return path.includes('/user')
    ? [{ userid: '@a:b', protocol: 'irc', fields }]
    : [{ alias: '#a:b', protocol: 'irc', fields }]
}

async function newBot({ url }: Homeserver, appservice: TestAppservice): Promise<Actor> {
  const body = { type: 'm.login.application_service', username: '_fuzz_user' }
  const { status, body: made } = await appservice.ask(url, {
    method: 'POST',
    path: '/_matrix/client/v3/register',
    body,
  })
  if (status !== 200) throw new Error(`registering a bot: ${status} ${JSON.stringify(made)}`)
  return { role: 'appservice', userId: made.user_id, deviceId: made.device_id ?? '', token: appservice.asToken }
}
