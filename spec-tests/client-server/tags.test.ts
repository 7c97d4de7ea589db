import { beforeEach, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { type ClientEvent, createRoom, refusal, syncedRoom, syncUntil, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#room-tagging */
const { url } = inject('homeserver')
let alice: TestUser
let roomId: string

beforeEach(async () => {
  alice = await registerUser(url)
  roomId = await createRoom(alice)
})

const tagsPath = (tag?: string, user = alice) =>
  `${v3}/user/${encodeURIComponent(user.userId)}/rooms/${encodeURIComponent(roomId)}/tags${tag === undefined ? '' : `/${encodeURIComponent(tag)}`}`
const tags = async () => (await alice.get(tagsPath())).tags

test('are set, changed, listed and removed', async () => {
  expect(await tags()).toEqual({})
  await alice.put(tagsPath('m.favourite'), { order: 0.25 })
  await alice.put(tagsPath('u.Work & more'), {})
  await alice.put(tagsPath('m.favourite'), { order: 0.5, own: 'kept' })
  expect(await tags()).toEqual({ 'm.favourite': { order: 0.5, own: 'kept' }, 'u.Work & more': {} })
  expect((await alice.ask('DELETE', tagsPath('m.favourite'))).status).toBe(200)
  expect((await alice.ask('DELETE', tagsPath('m.favourite'))).status).toBe(200)
  expect(await tags()).toEqual({ 'u.Work & more': {} })
})

test('are account data of the room, and announced when they change', async () => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  await alice.put(tagsPath('u.one'), { order: 1 })
  const find = (events: ClientEvent[] = []) => events.find(({ type }) => type === 'm.tag')?.content
  const told = await syncUntil(alice, next_batch, ({ rooms }) => find(rooms?.join?.[roomId]?.account_data?.events))
  expect(told).toEqual({ tags: { 'u.one': { order: 1 } } })
  expect(find((await syncedRoom(alice, roomId)).account_data.events)).toEqual(told)
})

test('are nobody else’s business', async () => {
  const bob = await registerUser(url)
  expect(await refusal(bob, 'GET', tagsPath())).toEqual([403, 'M_FORBIDDEN'])
  expect(await refusal(bob, 'PUT', tagsPath('u.x'), {})).toEqual([403, 'M_FORBIDDEN'])
  expect(await refusal(bob, 'DELETE', tagsPath('u.x'))).toEqual([403, 'M_FORBIDDEN'])
})

test('that are too long or out of order are refused', async () => {
  expect((await alice.ask('PUT', tagsPath(`u.${'x'.repeat(300)}`), {})).status).toBe(400)
  expect((await alice.ask('PUT', tagsPath('u.x'), { order: 'first' })).status).toBe(400)
  expect(await tags()).toEqual({})
})
