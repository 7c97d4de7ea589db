import fc from 'fast-check'
import { expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { classicViewer, type RoomView, slidingViewer, socketViewer, type Viewer } from '../harness/room-views.ts'

/** Clients with any sync endpoint always have the same view of their rooms, which agrees with /state and /messages. */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const USERS = 3
const ROOMS = 3
/** Number of compared events per room. */
const HISTORY = 100
/** `AGREEMENT_RUNS=200` for the long run; a failed run prints its seed, which AGREEMENT_SEED repeats. */
const RUNS = Number(process.env.AGREEMENT_RUNS ?? 3)

const kinds = [
  'send',
  'send',
  'send',
  'state',
  'join',
  'join',
  'leave',
  'invite',
  'kick',
  'ban',
  'unban',
  'read',
  'read',
  'look',
  'look',
  'rename',
] as const
type Action = {
  kind: (typeof kinds)[number]
  user: number
  other: number
  room: number
  number: number
  loses: boolean
}
const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom(...kinds),
  user: fc.nat(USERS - 1),
  other: fc.nat(USERS - 1),
  room: fc.nat(ROOMS - 1),
  number: fc.nat(4),
  loses: fc.boolean(),
})

type World = {
  users: TestUser[]
  rooms: string[]
  viewers: { user: TestUser; all: Viewer[]; sliding: ReturnType<typeof slidingViewer>[] }[]
}

test(
  'sync v3, sliding sync, /state and /messages agree',
  async () => {
    const step = fc.array(action, { minLength: 1, maxLength: 3 })
    const property = fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 14 }), async (steps) => {
      const world = await createWorld()
      try {
        for (const actions of steps) {
          await performAtOnce(world, actions)
          for (const { user, all } of world.viewers) await compare(world, user, all)
        }
      } finally {
        for (const { all } of world.viewers) for (const viewer of all) viewer.close?.()
      }
    })
    const seed = process.env.AGREEMENT_SEED
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true, ...(seed !== undefined && { seed: Number(seed) }) })
  },
  120_000 + 90_000 * RUNS,
)

async function createWorld(): Promise<World> {
  const users = await Promise.all(Array.from({ length: USERS }, () => registerUser(url)))
  const rooms: string[] = []
  for (let i = 0; i < ROOMS; i++) {
    const options = { preset: 'public_chat', power_level_content_override: { state_default: 0, kick: 0, ban: 0 } }
    rooms.push((await users[i % USERS]!.post(`${v3}/createRoom`, options)).room_id)
  }
  const viewers = users.map((user) => {
    const sliding = [slidingViewer(user, 'stable'), slidingViewer(user, 'unstable')]
    return { user, sliding, all: [classicViewer(user), ...sliding, socketViewer(user)] }
  })
  return { users, rooms, viewers }
}

/** Actions of users run concurrently, but each client sends one sync at a time. */
async function performAtOnce(world: World, actions: readonly Action[]): Promise<void> {
  const looks = async () => {
    for (const one of actions) if (one.kind === 'look') await perform(world, one)
  }
  await Promise.all([looks(), ...actions.filter(({ kind }) => kind !== 'look').map((one) => perform(world, one))])
}

/** Refused actions, because the user is not in the room, change nothing. */
async function perform({ users, rooms, viewers }: World, { kind, number, loses, ...who }: Action): Promise<void> {
  const [user, other, roomId] = [users[who.user]!, users[who.other]!, rooms[who.room]!]
  const at = `${v3}/rooms/${roomId}`
  switch (kind) {
    case 'send':
      for (let i = 0; i <= number; i++) await sendText(user, roomId, `${i}`).catch(() => {})
      return
    case 'state':
      await user.ask('PUT', `${at}/state/org.test/${number}`, { at: Math.random() })
      return
    case 'rename':
      await user.ask('PUT', `${at}/state/m.room.name`, { name: `name ${number}` })
      return
    case 'join':
    case 'leave':
      await user.ask('POST', `${at}/${kind}`, {})
      return
    case 'invite':
    case 'kick':
    case 'ban':
    case 'unban':
      await user.ask('POST', `${at}/${kind}`, { user_id: other.userId })
      return
    case 'read': {
      const { body } = await user.ask('GET', `${at}/messages?dir=b&limit=${number + 1}`)
      const event = body.chunk?.at(-1)
      if (event) await user.ask('POST', `${at}/receipt/m.read/${encodeURIComponent(event.event_id)}`, {})
      return
    }
    case 'look':
      await viewers[who.user]!.sliding[number % 2]!.look({ window: number % 3, limit: 1 + number, loses })
  }
}

async function compare({ rooms, users }: World, user: TestUser, viewers: readonly Viewer[]): Promise<void> {
  for (const viewer of viewers) await viewer.update()
  const { joined_rooms: joined } = await user.get(`${v3}/joined_rooms`)
  for (const [place, roomId] of rooms.entries()) {
    const views = viewers.map(({ name, rooms: known }) => ({ name, view: known.get(roomId) }))
    const here = (name: string) => `room ${place} as user ${users.indexOf(user)} knows it by ${name}`
    // Sync v3 does not distinguish banned users from those who left.
    const memberships = views.map(({ view }) => view?.membership ?? 'leave').map(orLeave)
    expect(new Set(memberships), here('all')).toEqual(new Set([memberships[0]]))
    expect(memberships[0] === 'join', here('/joined_rooms')).toBe(joined.includes(roomId))
    if (memberships[0] === 'join') await compareJoined(user, roomId, views as Named[], here)
  }
}

const orLeave = (membership: string) => (membership === 'ban' ? 'leave' : membership)

type Named = { name: string; view: RoomView }

async function compareJoined(user: TestUser, roomId: string, views: readonly Named[], here: (name: string) => string) {
  const [state, { chunk }] = await Promise.all([
    user.get(`${v3}/rooms/${roomId}/state`),
    user.get(`${v3}/rooms/${roomId}/messages?dir=b&limit=${HISTORY}`),
  ])
  type Event = { event_id: string; type: string; state_key: string; content: { membership?: string } }
  const truth = new Map((state as Event[]).map((event) => [`${event.type}|${event.state_key}`, event.event_id]))
  const history = (chunk as Event[]).map(({ event_id }) => event_id).reverse()
  const members = (state as Event[]).filter(({ content }) => content.membership === 'join').length
  for (const { name, view } of views) {
    expect(new Map([...view.state].sort()), here(name)).toEqual(new Map([...truth].sort()))
    const known = view.tail.slice(-HISTORY)
    expect(known, here(name)).toEqual(history.slice(-known.length))
    expect(view.joined, here(name)).toBe(members)
  }
  const [classic, ...others] = views as [Named, ...Named[]]
  for (const { name, view } of others) {
    // Only the deployed form has counts.
    if (view.unread !== undefined) expect(view.unread, here(name)).toBe(classic.view.unread)
  }
  expect(others.some(({ view }) => view.unread !== undefined)).toBe(true)
  for (const { name, view } of others)
    for (const [reader, eventId] of view.receipts)
      expect(eventId, `receipt of ${reader} in ${here(name)}`).toBe(classic.view.receipts.get(reader))
}
