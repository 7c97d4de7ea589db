import 'fake-indexeddb/auto'
import { type ChildProcess, spawn } from 'node:child_process'
import { DatabaseSync } from 'node:sqlite'
import { EventType, type MatrixClient, type MatrixEvent, Preset } from 'matrix-js-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toEvent } from '../../testing/matrix/events.ts'
import type { Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { startAppservice, type TestAppservice } from '../harness/appservice.ts'
import { ask, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { PROGRAM, type TestHearth } from '../harness/hearth.ts'
import {
  createRoom,
  eventPath,
  historyOf,
  joinRoom,
  relating,
  roomPath,
  sendEvent,
  sendState,
  v3,
} from '../harness/rooms.ts'
import { startSdk } from '../harness/sdk.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'
import { startSynapse, type TestSynapse } from '../harness/synapse.ts'
import { joinVia } from '../harness/synapse-pair.ts'

/** A Synapse is replaced by a Hearth with its name, ports and data, while clients and another server go on. */
const PATIENCE_MS = 240_000
/**
 * long: the other server is a Synapse, and there are 20 users. postgresql: Synapse's database is PostgreSQL, for which
 * its Python needs psycopg2; together with long.
 */
const VARIANTS = process.env.IMPORT?.split(',') ?? []
const MORE_USERS = VARIANTS.includes('long') ? 18 : 0
const MEGOLM = { type: EventType.RoomEncryption, content: { algorithm: 'm.megolm.v1.aes-sha2' } }

let federation: TestFederation
let synapse: TestSynapse
let peer: TestHearth | TestSynapse
let imported: TestHearth
let output = ''
const started: MatrixClient[] = []
let bridge: TestAppservice
let visitor: SigningPeer
let alice: Person
let bob: Person
let carol: Person
/** Facts from before the import. */
const before: {
  encryptedRoom: string
  secret: string
  missed: string
  sealed: string
  identity: object
  plainRoom: string
  history: string[]
  redacted: string
  invited: string
  file: string
  forkedRoom: string
  backup: { version: string; count: number }
  forBridge: string
} = {
  encryptedRoom: '',
  secret: '',
  missed: '',
  sealed: '',
  identity: {},
  plainRoom: '',
  history: [],
  redacted: '',
  invited: '',
  file: '',
  forkedRoom: '',
  backup: { version: '', count: 0 },
  forBridge: '',
}

/** `network`: whether the client's requests are sent, or wait. */
type Person = { user: TestUser; client: MatrixClient; network: Network }
/** Prefix of the databases in which alice's client keeps its keys and what it has synced. */
const KEPT = 'alice'

beforeAll(async () => {
  federation = await startFederation()
  bridge = await startAppservice('bridge')
  federation.onDispose(() => bridge.dispose())
  visitor = await startSigningPeer(federation, { isUnchecked: true })
  const settings = {
    // On a new SQLite they take half a minute of processor time: they run only where the test waits for them.
    background_updates: VARIANTS.length > 0 ? { sleep_enabled: false } : { sleep_duration_ms: 600_000 },
    app_service_config_files: [bridge.registrationFile],
    ...(await ownDatabase()),
  }
  ;[synapse, peer] = await Promise.all([
    startSynapse(federation, settings),
    VARIANTS.includes('long') ? startSynapse(federation) : federation.hearth(),
  ])
  ;[alice, bob, carol] = await Promise.all([
    person(synapse.url, 'alice'),
    person(synapse.url, 'bob'),
    person(peer.url, 'carol'),
  ])
  const [, , forkedRoom] = await Promise.all([talkInSecret(), talkInPublic(), fork()])
  before.forkedRoom = forkedRoom
  if (VARIANTS.includes('long')) await pollUntil('Synapse has finished its background updates', () => checks())
  await synapse.kill()
  // Synapse has not delivered the last event; Hearth does with its first attempt.
  bridge.answerTransactions = 200
  if (VARIANTS.length === 0) skipUpdates()
  imported = await federation.hearth({
    serverName: synapse.serverName,
    port: synapse.federationPort,
    clientPort: Number(new URL(synapse.url).port),
    config: { appservices: [bridge.registrationFile] },
    beforeStart: importAll,
  })
}, PATIENCE_MS)
afterAll(async () => {
  for (const client of started) client.stopClient()
  await federation?.dispose()
})

async function ownDatabase(): Promise<object> {
  if (!VARIANTS.includes('postgresql')) return {}
  const postgres = await startPostgres()
  federation.onDispose(() => postgres.stop())
  const { hostname: host, port, username: user, pathname } = new URL(await postgres.createDatabase())
  const args = { host, port: Number(port), user, dbname: pathname.slice(1), cp_min: 1, cp_max: 5 }
  return { database: { name: 'psycopg2', args } }
}

async function person(url: string, name: string): Promise<Person> {
  const user = await registerUser(url, uniqueName(name))
  const network = createNetwork()
  const client = await startSdk(user, {}, { fetchFn: network.fetch, ...(name === 'alice' && { kept: KEPT }) })
  started.push(client)
  return { user, client, network }
}

type Network = { fetch: typeof fetch; cut(): void; restore(): void }

function createNetwork(): Network {
  let restored = Promise.withResolvers<void>()
  let current = new AbortController()
  restored.resolve()
  return {
    async fetch(input, options) {
      await restored.promise
      const signals = [current.signal, ...(options?.signal ? [options.signal] : [])]
      return fetch(input, { ...options, signal: AbortSignal.any(signals) })
    },
    cut() {
      restored = Promise.withResolvers()
      current.abort()
      current = new AbortController()
    },
    restore: () => restored.resolve(),
  }
}

async function talkInSecret(): Promise<void> {
  const { room_id: roomId } = await alice.client.createRoom({
    preset: Preset.TrustedPrivateChat,
    invite: [bob.user.userId, carol.user.userId],
    initial_state: [MEGOLM],
  })
  for (const { client } of [bob, carol]) {
    await pollUntil('the invite arrives', () => client.getRoom(roomId)?.getMyMembership() === 'invite')
    await client.joinRoom(roomId, { viaServers: [synapse.serverName] })
  }
  for (const { client } of [alice, bob, carol])
    await pollUntil('all are members', () => client.getRoom(roomId)?.getJoinedMemberCount() === 3)
  before.encryptedRoom = roomId
  before.secret = await says(alice.client, roomId, 'before the import', bob.client, carol.client)
  await backUp(alice.client)
  bob.network.cut()
  before.missed = await says(carol.client, roomId, 'while bob is away', alice.client)
  before.identity = await identityOf(alice.client)
  await alice.client.store.save(true)
  alice.client.stopClient()
  before.sealed = (await carol.client.sendTextMessage(roomId, 'while alice is away')).event_id
}

/** Returns the public keys of a client's device and user. */
async function identityOf(client: MatrixClient): Promise<object> {
  const crypto = client.getCrypto()!
  return { ...(await crypto.getOwnDeviceKeys()), master: await crypto.getCrossSigningKeyId() }
}

async function backUp(client: MatrixClient): Promise<void> {
  await client.getCrypto()!.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (upload) => void (await upload(null)),
  })
  await client.getCrypto()!.resetKeyBackup()
  before.backup = await pollUntil('keys are backed up', async () => {
    const found = await alice.user.get(`${v3}/room_keys/version`)
    return found.count > 0 && { version: found.version, count: found.count }
  })
}

/** Leaves a room with two forward extremities, after an earlier fork that Synapse has resolved. */
async function fork(): Promise<string> {
  const roomId = await createRoom(alice.user, { preset: 'public_chat', room_version: '10' })
  const { signatures: _signatures, hashes: _hashes, ...proper } = await visitor.join(synapse, roomId)
  const say = async (fields: object): Promise<void> => {
    const signed = visitor.sign({ ...proper, origin_server_ts: Date.now(), ...fields }, '10') as Pdu
    const body = { origin: visitor.serverName, origin_server_ts: Date.now(), pdus: [signed] }
    await visitor.ask(synapse, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, body)
    await seen(alice.user, roomId, toEvent(ROOM_VERSIONS.get('10')!, signed).event_id)
  }
  await sendText(alice.user, roomId, 'on one side')
  const renamed = { membership: 'join', displayname: 'Forked' }
  await say({ type: 'm.room.member', state_key: visitor.userId, content: renamed })
  await sendState(alice.user, roomId, { type: 'm.room.topic', content: { topic: 'Resolved' } })
  await say({ content: { msgtype: 'm.text', body: 'on the other side' } })
  return roomId
}

async function talkInPublic(): Promise<void> {
  const { user } = alice
  const roomId = await createRoom(user, { preset: 'public_chat', name: 'Plain', room_alias_name: uniqueName('plain') })
  before.plainRoom = roomId
  await joinRoom(roomId, bob.user)
  for (let each = 0; each < MORE_USERS; each++) {
    const guest = await registerUser(synapse.url)
    await joinRoom(roomId, guest)
    await sendText(guest, roomId, `hello from ${guest.userId}`)
  }
  await joinVia(carol.user, roomId, user)
  await bridge.ask(synapse.url, { method: 'POST', path: `${v3}/join/${encodeURIComponent(roomId)}` })
  const root = await sendText(user, roomId, 'a thread begins')
  await sendEvent(bob.user, roomId, relating('m.thread', root))
  before.redacted = await sendText(user, roomId, 'to be redacted')
  await user.put(roomPath(roomId, `redact/${encodeURIComponent(before.redacted)}/r1`), { reason: 'wrong' })
  await sendState(user, roomId, { type: 'm.room.topic', content: { topic: 'Before' } })
  await sendText(carol.user, roomId, 'from afar').then((eventId) => seen(user, roomId, eventId))
  before.file = await upload(user)
  await pollUntil('the bridge receives events', () => bridge.events().length > 0)
  bridge.answerTransactions = 500
  before.forBridge = await sendText(user, roomId, 'while the bridge is down')
  before.history = (await historyOf(user, roomId)).map(({ event_id }) => event_id)
  before.invited = await createRoom(carol.user, { name: 'Elsewhere', invite: [bob.user.userId] })
  await pollUntil('the invite arrives', async () => {
    const body = await bob.user.get(`${v3}/sync?timeout=0`)
    return body.rooms?.invite?.[before.invited]
  })
}

const FILE = 'a file from before'

async function upload({ url, accessToken }: TestUser): Promise<string> {
  const headers = { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'text/plain' }
  const answer = await fetch(`${url}/_matrix/media/v3/upload?filename=old.txt`, { method: 'POST', headers, body: FILE })
  return ((await answer.json()) as { content_uri: string }).content_uri
}

async function seen(user: TestUser, roomId: string, eventId: string): Promise<void> {
  await pollUntil('the event arrives', () => user.get(roomPath(roomId, eventPath('event', eventId))))
}

async function says(from: MatrixClient, roomId: string, text: string, ...readers: MatrixClient[]): Promise<string> {
  const { event_id: eventId } = await from.sendTextMessage(roomId, text)
  for (const reader of readers) expect(await decrypted(reader, roomId, eventId)).toBe(text)
  return eventId
}

/** Returns the text of an event once the client has decrypted it. */
async function decrypted(client: MatrixClient, roomId: string, eventId: string): Promise<string> {
  const event = await pollUntil(`${client.getUserId()} decrypts ${eventId}`, () => {
    const found = client.getRoom(roomId)?.findEventById(eventId) as MatrixEvent | undefined
    return found?.getType() === EventType.RoomMessage && !found.isDecryptionFailure() ? found : undefined
  })
  return event.getContent().body
}

/** The updates of a new database change nothing, but take Synapse half a minute on SQLite. */
function skipUpdates(): void {
  const database = new DatabaseSync(synapse.databaseFile)
  database.exec('delete from background_updates')
  database.close()
}

/** Whether nothing hinders the import; Synapse may still run. */
async function checks(): Promise<boolean> {
  const command = run(['import-synapse', 'check', '--config', synapse.configFile])
  await command.exit
  return !command.text().includes('background updates')
}

/** Imports, with a kill in the middle, and verifies. */
async function importAll(configFile: string): Promise<void> {
  const options = ['--config', synapse.configFile, '--hearth-config', configFile]
  const first = run(['import-synapse', 'import', ...options], (child, text) => {
    if (text.includes('devices: ')) child.kill('SIGKILL')
  })
  expect(await first.exit).not.toBe(0)
  const refused = run(['start', '--config', configFile])
  expect(await refused.exit).toBe(1)
  expect(refused.text()).toContain('has not finished')
  for (const action of ['import', 'verify']) {
    const command = run(['import-synapse', action, ...options])
    const code = await command.exit
    output += command.text()
    if (code !== 0) throw new Error(`${action}: ${command.text()}`)
  }
}

function run(words: string[], watch: (child: ChildProcess, text: string) => void = () => {}) {
  const child = spawn(PROGRAM, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk) => {
      text += chunk
      watch(child, text)
    })
  return { exit: new Promise<number | null>((resolve) => child.once('close', resolve)), text: () => text }
}

test('the import reports what it stored, and agrees with Synapse', () => {
  expect(output).toContain(`\nusers: ${2 + MORE_USERS}\n`)
  expect(output).toMatch(/they agree/)
  expect(output).not.toMatch(/Note:|left out/)
})

test('sessions stay signed in, and passwords stay valid', async () => {
  expect(await alice.user.get(`${v3}/account/whoami`)).toMatchObject({ device_id: alice.user.deviceId })
  const [name] = bob.user.userId.slice(1).split(':')
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: name },
    password: 'correct horse battery',
  }
  expect(await ask(imported.url, { method: 'POST', path: `${v3}/login`, body: login })).toMatchObject({ status: 200 })
})

test('history is the same, redacted events stay redacted, and the directory has the room', async () => {
  const events = await historyOf(alice.user, before.plainRoom)
  expect(events.map(({ event_id }) => event_id).sort()).toEqual(before.history.toSorted())
  const redacted = events.find(({ event_id }) => event_id === before.redacted)
  expect(redacted).toMatchObject({ content: {}, unsigned: { redacted_because: { type: 'm.room.redaction' } } })
})

test('an invite by another server is still there, and can be accepted', async () => {
  const body = await bob.user.get(`${v3}/sync?timeout=0`)
  expect(body.rooms.invite[before.invited].invite_state.events).toContainEqual(
    expect.objectContaining({ type: 'm.room.name', content: { name: 'Elsewhere' } }),
  )
  await joinVia(bob.user, before.invited, carol.user)
})

test('the same clients read old and new encrypted messages', async () => {
  const roomId = before.encryptedRoom
  bob.network.restore()
  bob.client.retryImmediately()
  alice.client = await startSdk(alice.user, {}, { kept: KEPT })
  started.push(alice.client)
  expect(await identityOf(alice.client)).toEqual(before.identity)
  expect((before.identity as { master: unknown }).master).toEqual(expect.any(String))
  expect(await decrypted(alice.client, roomId, before.sealed)).toBe('while alice is away')
  expect(await decrypted(alice.client, roomId, before.secret)).toBe('before the import')
  expect(await decrypted(bob.client, roomId, before.missed)).toBe('while bob is away')
  expect(await decrypted(bob.client, roomId, before.secret)).toBe('before the import')
  await says(alice.client, roomId, 'after the import', bob.client, carol.client)
  await says(carol.client, roomId, 'from the other server', alice.client, bob.client)
  // A new device claims a one-time key that alice's client uploaded to Synapse.
  const { user } = alice
  const dan = await startSdk(await registerUser(user.url), {})
  started.push(dan)
  await alice.client.invite(roomId, dan.getSafeUserId())
  await dan.joinRoom(roomId)
  await pollUntil('dan knows the members', () => dan.getRoom(roomId)?.getJoinedMemberCount() === 4)
  await says(dan, roomId, 'to old devices', alice.client, bob.client)
})

test('the other server goes on in the same rooms', async () => {
  const roomId = before.plainRoom
  const [there, here] = [await sendText(carol.user, roomId, 'still here'), await sendText(alice.user, roomId, 'me too')]
  await seen(alice.user, roomId, there)
  await seen(carol.user, roomId, here)
})

test('files are downloaded under their old names', async () => {
  const path = before.file.replace('mxc://', '/_matrix/client/v1/media/download/')
  const headers = { Authorization: `Bearer ${alice.user.accessToken}` }
  const answer = await fetch(imported.url + path, { headers })
  expect(answer.headers.get('content-disposition')).toContain('old.txt')
  expect(await answer.text()).toBe(FILE)
})

test('a forked room goes on', async () => {
  const roomId = before.forkedRoom
  const state = await alice.user.get(roomPath(roomId, `state/m.room.member/${encodeURIComponent(visitor.userId)}`))
  expect(state).toMatchObject({ displayname: 'Forked' })
  const eventId = await sendText(alice.user, roomId, 'the forks meet')
  await pollUntil('the other server receives it', () =>
    visitor.received.some(({ pdus }) => pdus.some((pdu) => pdu.prev_events.length === 2 && pdu.depth > 5)),
  )
  await seen(alice.user, roomId, eventId)
})

test('the key backup is complete', async () => {
  const { version, count } = await alice.user.get(`${v3}/room_keys/version`)
  expect(version).toBe(before.backup.version)
  // The client has added keys since.
  expect(count).toBeGreaterThanOrEqual(before.backup.count)
})

test('the bridge receives what it has missed', async () => {
  await pollUntil('the missed event arrives', () =>
    bridge.events().some(({ event_id }) => event_id === before.forBridge),
  )
})
