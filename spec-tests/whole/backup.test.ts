import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { START_MS, type TestHearth } from '../harness/hearth.ts'

/** `hearth backup` under load and `hearth restore` on an empty machine, with a peer that goes on in between. */
const PROGRAM = join(import.meta.dirname, '../../bin/hearth')
const V3 = '/_matrix/client/v3'
const ALGORITHM = 'signed_curve25519'
const WAIT_MS = 60_000
const KEYS = 300
/** Without a pause, the load takes the processor from the backup, and the recovery of what is lost takes minutes. */
const BETWEEN_ACTS_MS = 40
/** For polls that read whole rooms. */
const PAUSE_MS = 150
/** Acts of each client after the backup, which the restored server has therefore lost. */
const LOST_ACTS = 5

const run = promisify(execFile)
const hearth = (...words: string[]) => run(PROGRAM, words, { encoding: 'utf8' })

let postgres: TestPostgres
let folder: string
let federation: TestFederation
let embedded: TestHearth
let shared: TestHearth
beforeAll(async () => {
  postgres = await startPostgres()
  folder = mkdtempSync(join(tmpdir(), 'hearth-backups-'))
  federation = await startFederation()
  ;[embedded, shared] = await Promise.all([
    federation.hearth(),
    federation.hearth({ databaseUrl: await postgres.createDatabase() }),
  ])
}, 2 * START_MS)
afterAll(async () => {
  await federation?.dispose()
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Repeats an act until it is told to stop; counts those that succeeded. */
function repeatedly(act: (count: number) => Promise<void>) {
  let isOver = false
  const loop = { count: 0, failures: [] as string[] }
  const ended = (async () => {
    while (!isOver) {
      try {
        await act(loop.count)
        loop.count += 1
      } catch (error) {
        loop.failures.push(String(error))
      }
      await setTimeout(BETWEEN_ACTS_MS)
    }
  })()
  const stop = async () => {
    isOver = true
    await ended
  }
  return { loop, stop }
}

function uploadKeys(user: TestUser, names: readonly string[]): Promise<unknown> {
  const keys = Object.fromEntries(names.map((name) => [`${ALGORITHM}:${name}`, { key: name, signatures: {} }]))
  return user.post(`${V3}/keys/upload`, { one_time_keys: keys })
}

/** Returns the one-time key that a claim gets; undefined if there is none. */
async function claim(user: TestUser, of: TestUser): Promise<string | undefined> {
  const wanted = { one_time_keys: { [of.userId]: { [of.deviceId]: ALGORITHM } } }
  const { one_time_keys } = await user.post(`${V3}/keys/claim`, wanted)
  return Object.keys(one_time_keys[of.userId]?.[of.deviceId] ?? {})[0]
}

/** A client that syncs from its last token, whatever comes. */
function syncingClient(user: TestUser) {
  const client = {
    since: undefined as string | undefined,
    joined: new Set<string>(),
    // biome-ignore lint/suspicious/noExplicitAny: a response of /sync
    async sync(): Promise<any> {
      const since = client.since === undefined ? '' : `&since=${client.since}`
      const body = await user.get(`${V3}/sync?timeout=0${since}`)
      for (const roomId of Object.keys(body.rooms?.join ?? {})) client.joined.add(roomId)
      client.since = body.next_batch
      return body
    },
  }
  return client
}

async function eventIds(user: TestUser, roomId: string): Promise<string[]> {
  const { chunk } = await user.get(`${V3}/rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=1000`)
  return chunk.map(({ event_id }: { event_id: string }) => event_id)
}

/** Points the configuration of a stopped server to an empty machine: a new folder, and a new database. */
async function replaceMachine({ configFile }: TestHearth): Promise<void> {
  const config = JSON.parse(readFileSync(configFile, 'utf8'))
  config.data_dir = join(config.data_dir, '..', `restored-${Object.keys(config.database ?? {}).length}`)
  if (config.database?.url) config.database.url = await postgres.createDatabase()
  writeFileSync(configFile, JSON.stringify(config))
}

async function backUpAndRestore(home: TestHearth, away: TestHearth): Promise<void> {
  const [alice, bob] = [await registerUser(home.url), await registerUser(home.url)]
  const carol = await registerUser(away.url)
  const { room_id: roomId } = await alice.post(`${V3}/createRoom`, { preset: 'public_chat' })
  const join_ = (user: TestUser) => user.post(`${V3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  await join_(bob)
  await join_(carol)
  await uploadKeys(
    alice,
    Array.from({ length: KEYS }, (_, at) => `before-${at}`),
  )
  const [offline, online] = [syncingClient(alice), syncingClient(bob)]
  await offline.sync()
  const given: string[] = []
  const sent = { home: [] as string[], away: [] as string[] }
  const claimed = async (user: TestUser) => {
    const name = await claim(user, alice)
    if (name !== undefined) given.push(name)
  }
  const loops = [
    repeatedly(async (at) => void sent.home.push(await sendText(alice, roomId, `home ${at}`))),
    repeatedly(async (at) => void sent.away.push(await sendText(carol, roomId, `away ${at}`))),
    repeatedly(async () => claimed(bob)),
    repeatedly(async () => claimed(carol)),
    repeatedly(async () => void (await online.sync())),
    repeatedly(async () => void (await join_(await registerUser(home.url)))),
  ]
  const counts = () => loops.map(({ loop }) => loop.count)
  const allReach = (least: readonly number[]) =>
    pollUntil('all clients act', async () => counts().every((count, at) => count >= least[at]!), START_MS)
  await allReach(counts().map(() => 1))
  const file = join(folder, `${home === embedded ? 'embedded' : 'shared'}.zip`)
  await hearth('backup', file, '--config', home.configFile)
  await allReach(counts().map((count) => count + LOST_ACTS))
  await Promise.all(loops.map(({ stop }) => stop()))
  // Nobody was refused while the backup was made.
  expect(loops.flatMap(({ loop }) => loop.failures)).toEqual([])
  expect(new Set(given).size).toBe(given.length)

  await home.kill('SIGKILL')
  await replaceMachine(home)
  await hearth('restore', file, '--config', home.configFile)
  await home.restart()

  expect(await claim(bob, alice), 'one-time keys are void').toBeUndefined()
  const { device_one_time_keys_count: left } = await offline.sync()
  expect(left).toEqual({ [ALGORITHM]: 0 })
  await uploadKeys(alice, ['after-1', 'after-2'])
  given.push(...((await Promise.all([claim(bob, alice), claim(carol, alice)])) as string[]))
  expect(new Set(given).size, 'no key is given twice').toBe(given.length)
  expect(given.slice(-2).sort()).toEqual([`${ALGORITHM}:after-1`, `${ALGORITHM}:after-2`])

  // A client with a token from after the backup, and one with a token from before it.
  const again = await online.sync()
  expect(again.rooms.join[roomId].timeline).toMatchObject({ limited: true, prev_batch: expect.any(String) })
  const back = await sendText(alice, roomId, 'back again')
  const theirs = await sendText(carol, roomId, 'welcome back')
  for (const [client, user] of [
    [online, bob],
    [offline, alice],
  ] as const) {
    const seen = new Set<string>()
    await pollUntil(
      `${user.userId} gets new events`,
      async () => {
        const body = await client.sync()
        const timeline = body.rooms?.join?.[roomId]?.timeline
        for (const { event_id } of timeline?.events ?? []) seen.add(event_id)
        if (timeline?.limited) for (const eventId of await eventIds(user, roomId)) seen.add(eventId)
        return seen.has(back) && seen.has(theirs)
      },
      WAIT_MS,
      PAUSE_MS,
    )
  }
  await pollUntil(
    'the peer gets new events',
    async () => (await eventIds(carol, roomId)).includes(back),
    WAIT_MS,
    PAUSE_MS,
  )
  // Every event that reached the peer is here again: those of this server too, as far as they had been sent.
  await pollUntil(
    'no event is missing',
    async () => {
      const [here, there] = [new Set(await eventIds(bob, roomId)), await eventIds(carol, roomId)]
      return there.every((eventId) => here.has(eventId)) && sent.away.every((eventId) => here.has(eventId))
    },
    WAIT_MS,
    PAUSE_MS,
  )
}

test('the embedded database', { timeout: 4 * START_MS }, () => backUpAndRestore(embedded, shared))
test('PostgreSQL', { timeout: 4 * START_MS }, () => backUpAndRestore(shared, embedded))
