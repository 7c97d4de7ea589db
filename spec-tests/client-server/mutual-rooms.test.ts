import { expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { createRoom, joinRoom, refusal, roomPath, v1 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms */
const { url } = inject('homeserver')
const PATHS = [`${v1}/mutual_rooms`, '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms']

test.each(PATHS)('%s: the rooms that both are in', async (path) => {
  const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const mutual = async () => (await alice.get(`${path}?user_id=${encodeURIComponent(bob.userId)}`)).joined
  const [both, left, invited] = [await createRoom(alice), await createRoom(alice), await createRoom(alice)]
  await createRoom(bob)
  expect(await mutual()).toEqual([])
  await joinRoom(both, bob)
  await joinRoom(left, bob)
  await bob.post(roomPath(left, 'leave'))
  await alice.post(roomPath(invited, 'invite'), { user_id: bob.userId })
  expect(await mutual()).toEqual([both])
})

test.each(PATHS)('%s: nothing with oneself or with nobody', async (path) => {
  const alice = await registerUser(url)
  const own = `${path}?user_id=${encodeURIComponent(alice.userId)}`
  expect((await alice.ask('GET', own)).status).toBe(400)
  expect((await alice.ask('GET', path)).status).toBe(400)
  expect((await alice.ask('GET', `${path}?user_id=nobody`)).status).toBe(400)
  expect(await refusal(alice, 'GET', `${path}?user_id=%40nobody%3Aexample.org`)).toEqual([200, undefined])
})
