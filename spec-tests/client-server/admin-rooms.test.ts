import { beforeAll, describe, expect, inject, test } from 'vitest'
import { registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { createRoom, joinRoom, roomPath } from '../harness/rooms.ts'

/** Rooms in Synapse's admin API: https://element-hq.github.io/synapse/latest/admin_api/rooms.html */
const { url, sharedSecret } = inject('homeserver')
const v1 = (path: string) => `/_synapse/admin/v1/${path}`
const ofRoom = (roomId: string, rest = '') => v1(`rooms/${encodeURIComponent(roomId)}${rest}`)
const outcome = async (user: TestUser, method: string, path: string, body?: unknown) => {
  const answer = await user.ask(method, path, body)
  return [answer.status, answer.body.errcode]
}

let admin: TestUser
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
})

describe('a blocked room', () => {
  test('lets nobody in until it is unblocked', async () => {
    const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(alice)
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: false })
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: true })).body).toEqual({ block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcome(bob, 'POST', roomPath(roomId, 'join'))).toEqual([403, 'M_FORBIDDEN'])
    const invite = { user_id: bob.userId }
    expect(await outcome(alice, 'POST', roomPath(roomId, 'invite'), invite)).toEqual([403, 'M_FORBIDDEN'])
    expect((await admin.ask('PUT', ofRoom(roomId, '/block'), { block: false })).body).toEqual({ block: false })
    await joinRoom(roomId, bob)
  })

  test('need not be known to the server', async () => {
    const roomId = '!unknown:example.org'
    await admin.put(ofRoom(roomId, '/block'), { block: true })
    expect(await admin.get(ofRoom(roomId, '/block'))).toEqual({ block: true, user_id: admin.userId })
    expect(await outcome(admin, 'GET', ofRoom('unknown', '/block'))).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcome(admin, 'PUT', ofRoom(roomId, '/block'), {})).toEqual([400, 'M_MISSING_PARAM'])
    expect(await outcome(await registerUser(url), 'GET', ofRoom(roomId, '/block'))).toEqual([403, 'M_FORBIDDEN'])
  })
})
