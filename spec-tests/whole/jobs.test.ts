import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { ask, registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { SHARED_SECRET, startHearth, type TestHearth } from '../harness/hearth.ts'

/** Acknowledged or visible changes are completed in every room, even if the process dies in the middle. */
const v3 = '/_matrix/client/v3'
const ROOMS = 120

/** On a busy machine. */
vi.setConfig({ testTimeout: 300_000 })
const PATIENCE_MS = 120_000
/** Frequent polls would slow the server down. */
const PAUSE_MS = 200

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

let running: TestHearth[] = []
afterEach(async () => {
  await Promise.all(running.map((hearth) => hearth.dispose()))
  running = []
})

async function start(databaseUrl?: string): Promise<TestHearth> {
  const hearth = await startHearth(databaseUrl ? { databaseUrl } : {})
  running.push(hearth)
  return hearth
}

/** Creates Alice in many rooms of Bob. */
async function inManyRooms(url: string): Promise<{ alice: TestUser; bob: TestUser }> {
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  await Promise.all(
    Array.from({ length: ROOMS }, async () => {
      const { room_id: roomId } = await bob.post(`${v3}/createRoom`, { preset: 'public_chat' })
      await alice.post(`${v3}/join/${encodeURIComponent(roomId)}`)
    }),
  )
  return { alice, bob }
}

/** Counts the rooms in which a user's latest member event has this value, as another member of all of them sees it. */
async function countRooms(
  at: { url: string; reader: TestUser; userId: string },
  [key, value]: [string, string],
): Promise<number> {
  const of = { types: ['m.room.member'], senders: [at.userId] }
  const none = { limit: 0, types: [] }
  const room = { timeline: { ...of, limit: 1 }, state: { types: [] }, ephemeral: none, account_data: none }
  const filter = JSON.stringify({ room, presence: none, account_data: none })
  const path = `${v3}/sync?filter=${encodeURIComponent(filter)}`
  const { body } = await ask(at.url, { method: 'GET', path, token: at.reader.accessToken })
  const rooms = Object.values(body.rooms.join) as { timeline: { events: { content: Record<string, unknown> }[] } }[]
  return rooms.filter(({ timeline }) => timeline.events.at(-1)?.content[key] === value).length
}

/** Deactivation logs out immediately, and then leaves rooms. */
async function untilLoggedOut(url: string, { accessToken }: TestUser): Promise<void> {
  const request = { method: 'GET', path: `${v3}/account/whoami`, token: accessToken }
  await pollUntil('the account is gone', async () => (await ask(url, request)).status === 401)
}

const swallow = () => undefined
const ofAccount = (user: TestUser) => ({
  auth: { type: 'm.login.password', user: user.userId, password: 'correct horse battery' },
})

test('on the embedded database, of several names all rooms have the one that stays, also after a kill and a start', async () => {
  const hearth = await start()
  const { url } = hearth
  const { alice, bob } = await inManyRooms(url)
  const inRooms = (value: [string, string]) => countRooms({ url, reader: bob, userId: alice.userId }, value)
  const profile = `${v3}/profile/${encodeURIComponent(alice.userId)}/displayname`
  const nameOfAlice = async (): Promise<string> => (await bob.get(profile)).displayname

  await Promise.all(['One', 'Two', 'Three'].map((displayname) => alice.put(profile, { displayname })))
  const stays = await nameOfAlice()
  await pollUntil(
    'all rooms know it',
    async () => (await inRooms(['displayname', stays])) === ROOMS,
    PATIENCE_MS,
    PAUSE_MS,
  )

  const renaming = alice.put(profile, { displayname: 'Alice the Great' }).catch(swallow)
  await pollUntil('the name can be seen', async () => (await nameOfAlice()) === 'Alice the Great')
  await hearth.kill('SIGKILL')
  await renaming
  await hearth.restart()
  await pollUntil(
    'all rooms know the name',
    async () => (await inRooms(['displayname', 'Alice the Great'])) === ROOMS,
    PATIENCE_MS,
    PAUSE_MS,
  )

  const leaving = alice.post(`${v3}/account/deactivate`, ofAccount(alice)).catch(swallow)
  await untilLoggedOut(url, alice)
  await hearth.kill('SIGKILL')
  await leaving
  await hearth.restart()
  await pollUntil(
    'all rooms are left',
    async () => (await inRooms(['membership', 'leave'])) === ROOMS,
    PATIENCE_MS,
    PAUSE_MS,
  )
})

test('an erasure that is killed goes on after a start, and reports everything', async () => {
  const hearth = await start()
  const { url } = hearth
  const admin = await registerAdmin(url, SHARED_SECRET)
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  const { room_id: roomId } = await bob.post(`${v3}/createRoom`, { preset: 'public_chat' })
  await alice.post(`${v3}/join/${encodeURIComponent(roomId)}`)
  const room = `${v3}/rooms/${encodeURIComponent(roomId)}`
  const texts = Array.from({ length: 100 }, (_, place) => ({ msgtype: 'm.text', body: `private ${place}` }))
  await Promise.all(texts.map((text, place) => alice.put(`${room}/send/m.room.message/${place}`, text)))
  const headers = { Authorization: `Bearer ${alice.accessToken}`, 'Content-Type': 'text/plain' }
  const files = texts.slice(0, 20).map(({ body }) => body)
  await Promise.all(files.map((body) => fetch(`${url}/_matrix/media/v3/upload`, { method: 'POST', headers, body })))

  const path = `/_hearth/admin/v1/users/${encodeURIComponent(alice.userId)}/erase`
  await admin.post(path, { redact_events: true })
  await pollUntil('it has begun', async () => (await admin.get(path)).report.redacted > 0)
  await hearth.kill('SIGKILL')
  await hearth.restart()
  const erasure = async () => {
    const found = await admin.get(path)
    return found.status === 'complete' && found
  }
  const { report } = await pollUntil('it is complete', erasure, PATIENCE_MS, PAUSE_MS)
  expect(report).toMatchObject({ failed_redactions: {}, media_deleted: files.length })
  const { chunk } = await bob.get(`${room}/messages?dir=b&limit=1000`)
  const own = chunk.filter(
    ({ type, sender }: Record<string, string>) => type === 'm.room.message' && sender === alice.userId,
  )
  expect(own.map(({ content }: { content: object }) => content)).toEqual(texts.map(() => ({})))
})

test('on PostgreSQL, by another process', async () => {
  const databaseUrl = await postgres.createDatabase()
  const [first, second] = await Promise.all([start(databaseUrl), start(databaseUrl)])
  const { alice, bob } = await inManyRooms(first.url)
  const atSecond = { url: second.url, reader: bob, userId: alice.userId }

  const leaving = alice.post(`${v3}/account/deactivate`, ofAccount(alice)).catch(swallow)
  await untilLoggedOut(second.url, alice)
  await first.kill('SIGKILL')
  await leaving
  await pollUntil(
    'all rooms are left',
    async () => (await countRooms(atSecond, ['membership', 'leave'])) === ROOMS,
    PATIENCE_MS,
    PAUSE_MS,
  )
})
