import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { pollUntil } from '../harness/poll-until.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

/** What was acknowledged, or could be seen, is done in every room, though the process dies in the middle of it. */
const v3 = '/_matrix/client/v3'
const ROOMS = 120

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

/** Alice in many rooms of Bob's. */
async function inManyRooms(url: string): Promise<{ alice: TestUser; bob: TestUser; rooms: string[] }> {
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  const rooms = await Promise.all(
    Array.from({ length: ROOMS }, async () => {
      const { room_id: roomId } = await bob.post(`${v3}/createRoom`, { preset: 'public_chat' })
      await alice.post(`${v3}/join/${encodeURIComponent(roomId)}`)
      return roomId as string
    }),
  )
  return { alice, bob, rooms }
}

/** How many rooms have a member event of a user's with this value. */
async function countRooms(
  at: { url: string; reader: TestUser; rooms: readonly string[]; userId: string },
  [key, value]: [string, string],
): Promise<number> {
  const members = await Promise.all(
    at.rooms.map((roomId) => {
      const path = `${v3}/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(at.userId)}`
      return ask(at.url, { method: 'GET', path, token: at.reader.accessToken })
    }),
  )
  return members.filter(({ body }) => body[key] === value).length
}

/** Deactivation logs out at once, and then leaves rooms. */
async function untilLoggedOut(url: string, { accessToken }: TestUser): Promise<void> {
  const request = { method: 'GET', path: `${v3}/account/whoami`, token: accessToken }
  await pollUntil('the account is gone', async () => (await ask(url, request)).status === 401)
}

const swallow = () => undefined
const ofAccount = (user: TestUser) => ({
  auth: { type: 'm.login.password', user: user.userId, password: 'correct horse battery' },
})

test('on the embedded database, after a kill and a start', async () => {
  const hearth = await start()
  const { url } = hearth
  const { alice, bob, rooms } = await inManyRooms(url)
  const inRooms = (reader: TestUser, [key, value]: [string, string]) =>
    countRooms({ url, reader, rooms, userId: alice.userId }, [key, value])
  const profile = `${v3}/profile/${encodeURIComponent(alice.userId)}/displayname`

  const renaming = alice.put(profile, { displayname: 'Alice the Great' }).catch(swallow)
  await pollUntil('the name can be seen', async () => (await bob.get(profile)).displayname === 'Alice the Great')
  await hearth.kill('SIGKILL')
  await renaming
  await hearth.restart()
  await pollUntil(
    'all rooms know the name',
    async () => (await inRooms(bob, ['displayname', 'Alice the Great'])) === ROOMS,
  )

  const leaving = alice.post(`${v3}/account/deactivate`, ofAccount(alice)).catch(swallow)
  await untilLoggedOut(url, alice)
  await hearth.kill('SIGKILL')
  await leaving
  await hearth.restart()
  await pollUntil('all rooms are left', async () => (await inRooms(bob, ['membership', 'leave'])) === ROOMS)
})

test('on PostgreSQL, by another process', async () => {
  const databaseUrl = await postgres.createDatabase()
  const [first, second] = [await start(databaseUrl), await start(databaseUrl)]
  const { alice, bob, rooms } = await inManyRooms(first.url)
  const atSecond = { url: second.url, reader: bob, rooms, userId: alice.userId }

  const leaving = alice.post(`${v3}/account/deactivate`, ofAccount(alice)).catch(swallow)
  await untilLoggedOut(second.url, alice)
  await first.kill('SIGKILL')
  await leaving
  await pollUntil('all rooms are left', async () => (await countRooms(atSecond, ['membership', 'leave'])) === ROOMS)
})

test('of two names at once, all rooms have the one that stays', async () => {
  const { url } = await start()
  const { alice, bob, rooms } = await inManyRooms(url)
  const profile = `${v3}/profile/${encodeURIComponent(alice.userId)}/displayname`
  await Promise.all(['One', 'Two', 'Three'].map((displayname) => alice.put(profile, { displayname })))
  const { displayname } = await bob.get(profile)
  const at = { url, reader: bob, rooms, userId: alice.userId }
  await pollUntil('all rooms know it', async () => (await countRooms(at, ['displayname', displayname])) === ROOMS)
  expect(await countRooms(at, ['displayname', displayname])).toBe(ROOMS)
})
