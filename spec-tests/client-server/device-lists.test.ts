import { expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { seeded } from '../harness/seeded.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const OTHERS = 3
const ROOMS = 3
/** `DEVICE_LIST_STEPS=300` for the long run; DEVICE_LIST_SEED repeats a run. */
const STEPS = Number(process.env.DEVICE_LIST_STEPS ?? 30)
const SEED = Number(process.env.DEVICE_LIST_SEED ?? Math.floor(Math.random() * 1e9))

const createRoom = async (user: TestUser): Promise<string> =>
  (await user.post(`${v3}/createRoom`, { preset: 'public_chat' })).room_id
const join = (user: TestUser, roomId: string) => user.post(`${v3}/rooms/${roomId}/join`)

async function changeKeys(user: TestUser, text: string): Promise<void> {
  const { userId, deviceId } = user
  const keys = { [`ed25519:${deviceId}`]: text, [`curve25519:${deviceId}`]: text }
  const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2']
  await user.post(`${v3}/keys/upload`, {
    device_keys: { user_id: userId, device_id: deviceId, algorithms, keys, signatures: {} },
  })
}

async function keysOf(asker: TestUser, user: TestUser): Promise<string> {
  const { device_keys } = await asker.post(`${v3}/keys/query`, { device_keys: { [user.userId]: [] } })
  return Object.values<string>(device_keys[user.userId]?.[user.deviceId]?.keys ?? {})[0] ?? 'none'
}

test('a user of one shared room is reported, though they have since joined another one', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const [first, second] = [await createRoom(alice), await createRoom(alice)]
  const { next_batch: before } = await alice.get(`${v3}/sync?timeout=0`)
  await join(bob, first)
  const { next_batch: between } = await alice.get(`${v3}/sync?timeout=0&since=${before}`)
  await join(bob, second)
  const { next_batch: after } = await alice.get(`${v3}/sync?timeout=0&since=${between}`)
  const changes = (from: string, to: string) => alice.get(`${v3}/keys/changes?from=${from}&to=${to}`)
  expect((await changes(before, between)).changed).toContain(bob.userId)
  expect((await changes(before, after)).changed).toContain(bob.userId)
  expect((await changes(between, after)).changed).not.toContain(bob.userId)
})

/** A client's view of other users' keys: queried when they changed, and dropped when the user is no longer tracked. */
type Follower = { known: Map<string, string>; update(): Promise<void> }

function follower(user: TestUser, others: readonly TestUser[], next: () => Promise<Lists>): Follower {
  const known = new Map<string, string>()
  return {
    known,
    async update() {
      const { changed = [], left = [] } = await next()
      for (const userId of left) known.delete(userId)
      const news = others.filter(({ userId }) => changed.includes(userId))
      for (const other of news) known.set(other.userId, await keysOf(user, other))
    },
  }
}

type Lists = { changed?: string[]; left?: string[] }

async function followers(user: TestUser, others: readonly TestUser[]): Promise<Follower[]> {
  let { next_batch: since } = await user.get(`${v3}/sync?timeout=0`)
  const sliding = slidingClient(user, { connId: 'encryption' })
  await sliding.sync({ extensions: { e2ee: { enabled: true } } })
  return [
    follower(user, others, async () => {
      const answer = await user.get(`${v3}/sync?timeout=0&since=${since}`)
      since = answer.next_batch
      return answer.device_lists ?? {}
    }),
    follower(user, others, async () => (await sliding.sync()).extensions.e2ee.device_lists ?? {}),
  ]
}

test(
  `no change of keys is missed by those who share a room, whatever happens at once (seed ${SEED})`,
  async () => {
    const { pick } = seeded(SEED)
    const alice = await registerUser(url)
    const others = await Promise.all(Array.from({ length: OTHERS }, () => registerUser(url)))
    const rooms = await Promise.all(Array.from({ length: ROOMS }, () => createRoom(alice)))
    const following = await followers(alice, others)
    let changes = 0
    const act = async (user: TestUser) => {
      const what = pick(['keys', 'keys', 'join', 'leave'])
      if (what === 'keys') await changeKeys(user, `key ${++changes}`)
      else await user.ask('POST', `${v3}/rooms/${pick(rooms)}/${what}`, {})
    }
    for (let step = 0; step < STEPS; step++) {
      // All users act, two actions concurrently, while the clients sync, at any process.
      const acts = others.flatMap((user) => [act(user), act(user)])
      await Promise.all([...acts, ...following.map(({ update }) => update())])
      if (step % 5 < 4) continue
      for (const { update } of following) await update()
      await compare(alice, { others, rooms, following })
    }
  },
  120_000 + 1000 * STEPS,
)

/** Asserts that idle clients have the newest keys of all users with whom they share a room. */
async function compare(
  alice: TestUser,
  {
    others,
    rooms,
    following,
  }: { others: readonly TestUser[]; rooms: readonly string[]; following: readonly Follower[] },
): Promise<void> {
  const members = await Promise.all(rooms.map((roomId) => alice.get(`${v3}/rooms/${roomId}/joined_members`)))
  for (const other of others) {
    const isShared = members.some(({ joined }) => Object.hasOwn(joined, other.userId))
    const truth = await keysOf(alice, other)
    for (const [place, { known }] of following.entries()) {
      const here = `${other.userId} as known by ${['sync v3', 'sliding sync'][place]}`
      expect(known.get(other.userId), here).toBe(isShared ? truth : undefined)
    }
  }
}
