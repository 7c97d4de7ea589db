import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#user-directory */
const { url } = inject('homeserver')
/** Words that no other test uses. */
const word = () => uniqueName('w').replaceAll('-', '')
const v3 = '/_matrix/client/v3'

const search = (user: TestUser, term: string, limit?: number) =>
  user.post(`${v3}/user_directory/search`, { search_term: term, ...(limit !== undefined && { limit }) })
const found = async (user: TestUser, term: string): Promise<string[]> =>
  (await search(user, term)).results.map((result: { user_id: string }) => result.user_id)
const setName = (user: TestUser, displayname: string) =>
  user.put(`${v3}/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname })
const createRoom = async (user: TestUser, preset: string): Promise<string> =>
  (await user.post(`${v3}/createRoom`, { preset })).room_id

let searcher: TestUser
beforeAll(async () => {
  searcher = await registerUser(url)
})

test('users of public rooms are found by name and id, the beginnings of words are enough', async () => {
  const [name, localpart] = [word(), uniqueName('named')]
  const user = await registerUser(url, localpart)
  await setName(user, `Ünique ${name} Person`)
  await createRoom(user, 'public_chat')
  const { results, limited } = await search(searcher, name.toUpperCase())
  expect(results).toEqual([{ user_id: user.userId, display_name: `Ünique ${name} Person` }])
  expect(limited).toBe(false)
  expect(await found(searcher, `unique ${name.slice(0, -1)}`)).toEqual([user.userId])
  expect(await found(searcher, user.userId)).toEqual([user.userId])
  expect(await found(searcher, `@${localpart}`)).toEqual([user.userId])
  expect(await found(searcher, `@${localpart}:elsewhere.example`)).toEqual([])
  // Oneself as well as others.
  expect(await found(user, name)).toEqual([user.userId])
})

test('Chinese names are found by any part', async () => {
  const user = await registerUser(url)
  const name = word()
  await setName(user, `欧阳小明 ${name}`)
  await createRoom(user, 'public_chat')
  expect(await found(searcher, `小明 ${name}`)).toEqual([user.userId])
})

test('users of private rooms are found by those who share one', async () => {
  const [user, name] = [await registerUser(url), word()]
  await setName(user, name)
  const roomId = await createRoom(user, 'private_chat')
  expect(await found(searcher, name)).toEqual([])
  await user.post(`${v3}/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: searcher.userId })
  await searcher.post(`${v3}/join/${encodeURIComponent(roomId)}`)
  expect(await found(searcher, name)).toEqual([user.userId])
  await searcher.post(`${v3}/rooms/${encodeURIComponent(roomId)}/leave`)
  expect(await found(searcher, name)).toEqual([])
})

test('a name that is for one room alone stays there', async () => {
  const [user, name, secret] = [await registerUser(url), word(), word()]
  await setName(user, name)
  await createRoom(user, 'public_chat')
  const roomId = await createRoom(user, 'private_chat')
  const path = `${v3}/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(user.userId)}`
  await user.put(path, { membership: 'join', displayname: secret })
  expect(await found(searcher, secret)).toEqual([])
  expect((await search(searcher, name)).results[0].display_name).toBe(name)
})

test('a limit is kept, and said', async () => {
  const name = word()
  for (let i = 0; i < 3; i++) {
    const user = await registerUser(url)
    await setName(user, `${name} ${i}`)
    await createRoom(user, 'public_chat')
  }
  const two = await search(searcher, name, 2)
  expect([two.results.length, two.limited]).toEqual([2, true])
  const three = await search(searcher, name, 3)
  expect([three.results.length, three.limited]).toEqual([3, false])
})

test('nothing is found by nothing, and nonsense is refused', async () => {
  expect(await search(searcher, ' \0 !')).toEqual({ results: [], limited: false })
  expect((await searcher.ask('POST', `${v3}/user_directory/search`, {})).status).toBe(400)
  expect((await searcher.ask('POST', `${v3}/user_directory/search`, { search_term: 'x', limit: -1 })).status).toBe(400)
})
