import { expect, inject, test } from 'vitest'
import { ask, registerUser } from '../harness/client.ts'
import { createRoom, joinRoom, roomPath, v3 } from '../harness/rooms.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4143 on a server without LiveKit. */
const { url } = inject('homeserver')

/** Call services elsewhere verify the identity of callers here, also when the server does not federate. */
test('an OpenID token is verified where clients are served', async () => {
  const alice = await registerUser(url)
  const path = `${v3}/user/${encodeURIComponent(alice.userId)}/openid/request_token`
  const { access_token } = await alice.post(path)
  const verify = (token: string) =>
    ask(url, { method: 'GET', path: `/_matrix/federation/v1/openid/userinfo?access_token=${token}` })
  const { body, headers } = await verify(access_token)
  expect(body).toEqual({ sub: alice.userId })
  expect(headers.get('access-control-allow-origin')).toBe('*')
  expect(await verify('guess')).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
})

test.each(['private_chat', 'public_chat', 'trusted_private_chat'])(
  'members of a new room with the preset %s may join calls, but send no other state',
  async (preset) => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    // Of a trusted room, every invited user is a creator.
    const roomId = await createRoom(alice, { preset })
    await alice.ask('POST', roomPath(roomId, 'invite'), { user_id: bob.userId })
    await joinRoom(roomId, bob)
    const key = encodeURIComponent(`_${bob.userId}_${bob.deviceId}_m.call`)
    const send = (type: string) => bob.ask('PUT', roomPath(roomId, `state/${type}/${key}`), {})
    expect((await send('org.matrix.msc3401.call.member')).status).toBe(200)
    expect((await send('org.example.other')).status).toBe(403)
  },
)

test('a client may still set the level itself', async () => {
  const alice = await registerUser(url)
  const events = { 'org.matrix.msc3401.call.member': 50 }
  const roomId = await createRoom(alice, { power_level_content_override: { events } })
  expect((await alice.get(roomPath(roomId, 'state/m.room.power_levels'))).events).toEqual(events)
})
