import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type SlidingBody, slidingClient } from '../harness/sliding-client.ts'

/**
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md#api, in the
 * deployed and the merged form.
 */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const ALGORITHM = { algorithm: 'm.megolm.v1.aes-sha2' }
const NAMES = ['plain', 'secret', 'space', 'game', 'invite'] as const
type Rooms = Record<(typeof NAMES)[number], string>
type Form = 'stable' | 'unstable'

const CONFIG = {
  unstable: { ranges: [[0, 19]], timeline_limit: 1, required_state: [] },
  stable: { range: [0, 19], timeline_limit: 1, required_state: {} },
}

/** Returns a request for one list with these filters. */
function asking(form: Form, { is_invite, ...filters }: Record<string, unknown>): object {
  const ofInvites = { [form === 'stable' ? 'is_invited' : 'is_invite']: is_invite }
  return { lists: { some: { ...CONFIG[form], filters: { ...filters, ...(is_invite !== undefined && ofInvites) } } } }
}

let alice: TestUser
let bob: TestUser
let rooms: Rooms

beforeAll(async () => {
  ;[alice, bob] = [await registerUser(url), await registerUser(url)]
  const create = async (user: TestUser, options: object): Promise<string> =>
    (await user.post(`${v3}/createRoom`, options)).room_id
  const encryption = { type: 'm.room.encryption', state_key: '', content: ALGORITHM }
  rooms = {
    plain: await create(alice, { name: 'Plain' }),
    secret: await create(alice, { name: 'Secret cats', initial_state: [encryption] }),
    space: await create(alice, { name: 'Space', creation_content: { type: 'm.space' } }),
    game: await create(alice, { name: 'Cat game', creation_content: { type: 'org.test.game' } }),
    invite: await create(bob, { name: 'Invited cats', invite: [alice.userId] }),
  }
  await nest(rooms.plain)
  await alice.put(`${v3}/user/${alice.userId}/account_data/m.direct`, { [bob.userId]: [rooms.secret] })
  await tag(rooms.plain, 'm.favourite')
  await tag(rooms.game, 'm.lowpriority')
}, 60_000)

const nest = (roomId: string) =>
  alice.put(`${v3}/rooms/${rooms.space}/state/m.space.child/${roomId}`, { via: ['hearth.test'] })
const tag = (roomId: string, name: string) =>
  alice.put(`${v3}/user/${alice.userId}/rooms/${roomId}/tags/${name}`, { order: 0.5 })
const nameOf = (roomId: string) => NAMES.find((name) => rooms[name] === roomId) ?? roomId

const FILTERS: [Record<string, unknown>, (typeof NAMES)[number][]][] = [
  [{}, ['game', 'invite', 'plain', 'secret', 'space']],
  [{ is_dm: true }, ['secret']],
  [{ is_dm: false }, ['game', 'invite', 'plain', 'space']],
  [{ is_encrypted: true }, ['secret']],
  [{ is_encrypted: false, is_invite: false }, ['game', 'plain', 'space']],
  [{ is_invite: true }, ['invite']],
  [{ is_invite: false }, ['game', 'plain', 'secret', 'space']],
  [{ room_types: ['m.space', 'org.test.game'] }, ['game', 'space']],
  [{ room_types: [null], is_invite: false }, ['plain', 'secret']],
  [{ room_types: [] }, []],
  [{ not_room_types: ['m.space'], is_invite: false }, ['game', 'plain', 'secret']],
  [{ not_room_types: [null] }, ['game', 'space']],
  [{ room_types: ['m.space', 'org.test.game'], not_room_types: ['m.space'] }, ['game']],
  [{ tags: ['m.favourite', 'u.none'] }, ['plain']],
  [{ tags: ['m.favourite', 'm.lowpriority'], not_tags: ['m.favourite'] }, ['game']],
  [{ not_tags: ['m.favourite'], is_invite: false }, ['game', 'secret', 'space']],
  [{ room_name_like: 'CAT', is_invite: false }, ['game', 'secret']],
  [{ room_name_like: '%' }, []],
]

test.each(
  FILTERS.flatMap(([filters, names]) => [['unstable', filters, names] as const, ['stable', filters, names] as const]),
)('a list in the %s form with the filters %j', async (form, filters, names) => {
  const body = await slidingClient(alice, { form, connId: 'filters' }).sync(asking(form, filters))
  expect(Object.keys(body.rooms).map(nameOf).sort()).toEqual(names)
  expect(body.lists.some.count).toBe(names.length)
})

test('rooms in a space that the user is in, and in no other', async () => {
  for (const form of ['unstable', 'stable'] as const) {
    const inSpaces = async (user: TestUser, spaces: string[]) =>
      Object.keys((await slidingClient(user, { form }).sync(asking(form, { spaces }))).rooms).map(nameOf)
    expect(await inSpaces(alice, [rooms.space])).toEqual(['plain'])
    expect(await inSpaces(alice, [rooms.space, rooms.secret])).toEqual(['plain'])
    expect(await inSpaces(alice, [rooms.secret])).toEqual([])
    expect(await inSpaces(bob, [rooms.space])).toEqual([])
  }
})

type Change = (user: TestUser, roomId: string, space: string) => Promise<unknown>
const CHANGES: [what: string, filters: (space: string) => object, change: Change][] = [
  [
    'becomes encrypted',
    () => ({ is_encrypted: true }),
    (user, roomId) => user.put(`${v3}/rooms/${roomId}/state/m.room.encryption`, ALGORITHM),
  ],
  [
    'is tagged',
    () => ({ tags: ['u.new'] }),
    (user, roomId) => user.put(`${v3}/user/${user.userId}/rooms/${roomId}/tags/u.new`, {}),
  ],
  [
    'gets a name',
    () => ({ room_name_like: 'zebra' }),
    (user, roomId) => user.put(`${v3}/rooms/${roomId}/state/m.room.name`, { name: 'Some Zebras' }),
  ],
  [
    'becomes a direct chat',
    () => ({ is_dm: true }),
    (user, roomId) => user.put(`${v3}/user/${user.userId}/account_data/m.direct`, { '@zoe:hearth.test': [roomId] }),
  ],
  [
    'is put in a space',
    (space) => ({ spaces: [space] }),
    (user, roomId, space) => user.put(`${v3}/rooms/${space}/state/m.space.child/${roomId}`, { via: ['hearth.test'] }),
  ],
]

test.each(CHANGES)(
  'a room that %s comes into a list at once, and is told from then on',
  async (_what, filters, change) => {
    const user = await registerUser(url)
    const create = async (options: object) => (await user.post(`${v3}/createRoom`, options)).room_id
    const [roomId, space] = [await create({}), await create({ creation_content: { type: 'm.space' } })]
    const client = slidingClient(user)
    const first = await client.sync(asking('unstable', { ...filters(space) }))
    expect(first.rooms).toEqual({})
    const entering = client.until((body: SlidingBody) => roomId in body.rooms)
    await change(user, roomId, space)
    const entered = await entering
    expect(entered.rooms[roomId].initial).toBe(true)
    expect(entered.lists.some.count).toBe(1)
    await sendText(user, roomId, 'hello')
    expect((await client.until((body) => roomId in body.rooms)).rooms[roomId]).not.toHaveProperty('initial')
  },
)
