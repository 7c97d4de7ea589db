import { createHmac, randomBytes } from 'node:crypto'
import { freePort } from '../../../testing/free-port.ts'
import { pollUntil } from '../../../testing/poll-until.ts'
import { ask, registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../client.ts'
import { signInByOAuth } from '../oauth-client.ts'
import { newVisitor, signIn } from '../page-visitor.ts'
import { createRoom, eventPath, joinRoom, roomPath, sendEvent, v3 } from '../rooms.ts'

/** The objects that rows of the contract name, and the administrator who makes the requests. */
export type ContractWorld = { admin: TestUser; isHearth: boolean; values: Record<string, string> }

const PASSWORD = 'correct horse battery'
const synapse = (path: string) => `/_synapse/admin/${path}`
const of = ({ userId }: { userId: string }) => encodeURIComponent(userId)
const localpartOf = ({ userId }: { userId: string }) => userId.slice(1).split(':')[0]!
const serverOf = ({ userId }: { userId: string }) => userId.split(':').slice(1).join(':')

/** Makes the objects of the contract. */
export async function createContractWorld(url: string, sharedSecret: string): Promise<ContractWorld> {
  const [admin, user, friend, leaver] = await Promise.all([
    registerAdmin(url, sharedSecret),
    ...[1, 2, 3].map(() => registerUser(url)),
  ] as Promise<TestUser>[])
  const { server_version: version } = await admin!.get(synapse('v1/server_version'))
  const isHearth = version.startsWith('Hearth')
  const people = { admin: admin!, user: user!, friend: friend!, leaver: leaver! }
  const values: Record<string, string> = {
    ...names(people),
    ...Object.assign(
      {},
      ...(await Promise.all([
        makeRooms(people),
        makeReports(people),
        makeTokens(people),
        makeBelongings(people),
        makeTasks(people),
        makeRegistration(url, sharedSecret),
        ...(isHearth ? [findDestination(people), makeForMas(people)] : []),
      ])),
    ),
  }
  return { admin: admin!, isHearth, values }
}

type People = Record<'admin' | 'user' | 'friend' | 'leaver', TestUser>

function names({ admin, user, friend, leaver }: People) {
  const server = serverOf(admin)
  return {
    ...{ admin: admin.userId, user: user.userId, friend: friend.userId, leaver: leaver.userId },
    ...{ server, localpart: localpartOf(user), device: user.deviceId, remote: '@remote:remote.example.org' },
    ...{ nobody: `@${uniqueName('nobody')}:${server}`, newcomer: `@${uniqueName('newcomer')}:${server}` },
    ...{ noAlias: `#${uniqueName()}:${server}`, name: uniqueName('contract'), email: `${uniqueName()}@example.org` },
  }
}

async function makeRooms({ user, friend }: People) {
  const make = (name: string) => createRoom(user, { name })
  const [room, open, purged] = await Promise.all([make('Contract'), make('Open'), make('Purged')])
  const [doomed, doomedLater] = await Promise.all([make('Doomed'), make('Doomed later')])
  await joinRoom(room, friend)
  const event = await sendText(user, room, 'first')
  const [media, spareMedia] = await Promise.all([upload(user), upload(user), upload(friend)])
  await sendEvent(user, room, { msgtype: 'm.image', body: 'x', url: `mxc://${serverOf(user)}/${media}` })
  await sendText(user, purged, 'first')
  const last = await sendText(user, purged, 'last')
  return { room, open, purged, doomed, doomedLater, event, last, media, spareMedia }
}

async function makeReports({ admin, user, friend }: People) {
  const room = await createRoom(user, { name: 'Reported' })
  await joinRoom(room, friend)
  for (const body of ['one', 'two'])
    await friend.post(roomPath(room, eventPath('report', await sendText(user, room, body))), { reason: body })
  for (const reporter of [friend, admin]) await reporter.post(`${v3}/users/${of(user)}/report`, { reason: 'r' })
  const { event_reports: ofEvents } = await admin.get(synapse(`v1/event_reports?user_id=${of(friend)}`))
  const { user_reports: ofUsers } = await admin.get(synapse(`v1/user_reports?target_user_id=${of(user)}`))
  const [report, spareReport, userReport, spareUserReport] = [...ofEvents, ...ofUsers].map(({ id }) => `${id}`)
  return { report: report!, spareReport: spareReport!, userReport: userReport!, spareUserReport: spareUserReport! }
}

async function upload({ url, accessToken }: TestUser): Promise<string> {
  const response = await fetch(`${url}/_matrix/media/v3/upload?filename=contract.txt`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'text/plain' },
    body: randomBytes(20).toString('hex'),
  })
  const { content_uri: uri } = (await response.json()) as { content_uri: string }
  return uri.split('/').at(-1)!
}

async function makeTokens({ admin }: People) {
  const make = async () => (await admin.post(synapse('v1/registration_tokens/new'), {})).token
  return { token: await make(), spareToken: await make() }
}

/** A pusher and cross-signing keys of the user. */
async function makeBelongings({ user }: People) {
  await user.post(`${v3}/pushers/set`, {
    ...{ kind: 'http', app_id: 'org.example', pushkey: 'x', app_display_name: 'a', device_display_name: 'd' },
    ...{ lang: 'en', profile_tag: 'p', data: { url: 'https://push.example.org/_matrix/push/v1/notify' } },
  })
  const key = randomBytes(32).toString('base64').replace(/=+$/, '')
  const master_key = { user_id: user.userId, usage: ['master'], keys: { [`ed25519:${key}`]: key } }
  await user.post(`${v3}/keys/device_signing/upload`, { master_key })
  return {}
}

/** A redaction, a purge and a deletion that have ended. */
async function makeTasks({ admin, user }: People) {
  const [gone, history] = await Promise.all([createRoom(user), createRoom(user)])
  const last = await sendText(user, history!, 'last')
  const [{ redact_id: redact }, { purge_id: purge }, { body }] = await Promise.all([
    admin.post(synapse(`v1/user/${of(admin)}/redact`), { rooms: [] }),
    admin.post(synapse(`v1/purge_history/${encodeURIComponent(history!)}/${encodeURIComponent(last)}`), {}),
    admin.ask('DELETE', synapse(`v2/rooms/${encodeURIComponent(gone!)}`), { purge: false }),
  ])
  const deletion = body.delete_id
  for (const path of [
    ...[`v1/user/redact_status/${redact}`, `v1/purge_history_status/${purge}`],
    `v2/rooms/delete_status/${deletion}`,
  ])
    await pollUntil('the task ends', async () => (await admin.get(synapse(path))).status === 'complete')
  const { scheduled_tasks: tasks } = await admin.get(synapse(`v1/scheduled_tasks?resource_id=${of(admin)}`))
  return { redact, purge, deletion, gone: gone!, redactAction: tasks[0].action }
}

async function makeRegistration(url: string, sharedSecret: string) {
  const { nonce } = (await ask(url, { method: 'GET', path: synapse('v1/register') })).body
  const free = uniqueName('contract-free')
  const signed = [nonce, free, PASSWORD, 'notadmin'].join('\0')
  return { nonce, free, mac: createHmac('sha1', sharedSecret).update(signed).digest('hex') }
}

/** A server that does not answer. */
async function findDestination({ admin, user }: People) {
  const away = `localhost:${await freePort()}`
  const messages = { [`@someone:${away}`]: { DEVICE: { a: 1 } } }
  await user.put(`${v3}/sendToDevice/org.example/${uniqueName()}`, { messages })
  await pollUntil('the server is known', async () => {
    const { body } = await admin.ask('GET', synapse(`v1/federation/destinations/${away}`))
    return body.failure_ts != null
  })
  return { away }
}

/** Sessions of each kind, and the ULIDs of what there is. */
async function makeForMas({ admin, user, friend }: People) {
  const mas = (path: string) => `/api/admin/v1/${path}`
  const ulidOf = async (of: TestUser) => (await admin.get(mas(`users/by-username/${localpartOf(of)}`))).data.id
  const [ulid, friendUlid, spare] = [
    await ulidOf(user),
    await ulidOf(friend),
    await ulidOf(await registerUser(user.url)),
  ]
  const first = async (path: string) => (await admin.get(mas(path))).data[0]
  await signInByOAuth(user.url, user)
  await signIn(newVisitor(user.url), user, '/account')
  const make = async (path: string, body: object) => (await admin.ask('POST', mas(path), body)).body.data.id
  const oauth = await first(`oauth2-sessions?filter[user]=${ulid}`)
  return {
    ulid,
    spareUlid: spare,
    noUlid: '00000000000000000000000000',
    emailUlid: await make('user-emails', { user_id: friendUlid, email: `${uniqueName()}@example.org` }),
    tokenUlid: await make('user-registration-tokens', {}),
    compatUlid: (await first(`compat-sessions?filter[user]=${friendUlid}`)).id,
    oauthUlid: oauth.id,
    clientUlid: oauth.attributes.client_id,
    browserUlid: (await first(`user-sessions?filter[user]=${ulid}`)).id,
    personalUlid: await make('personal-sessions', {
      ...{ actor_user_id: ulid, human_name: 'x', scope: 'urn:matrix:client:api:*' },
    }),
  }
}
