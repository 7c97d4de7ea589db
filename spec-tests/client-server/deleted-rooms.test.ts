import { expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerAdmin, registerUser, sendText } from '../harness/client.ts'
import { createRoom, joinRoom, refusal, roomPath, v3 } from '../harness/rooms.ts'

/** https://element-hq.github.io/synapse/latest/admin_api/rooms.html#version-2-new-version */
const { url, sharedSecret } = inject('homeserver')
const v2 = '/_synapse/admin/v2/rooms'

test('an administrator deletes a room, whose members learn of it, and follows how far that is', async () => {
  const [admin, alice, bob] = await Promise.all([
    registerAdmin(url, sharedSecret),
    registerUser(url),
    registerUser(url),
  ])
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  await sendText(alice, roomId, 'secret')
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  const path = `${v2}/${encodeURIComponent(roomId)}`
  expect((await refusal(alice, 'DELETE', path))[0]).toBe(403)
  expect(await refusal(admin, 'GET', `${path}/delete_status`)).toEqual([404, 'M_NOT_FOUND'])

  const { delete_id: id } = (await admin.ask('DELETE', path, {})).body
  const done = await pollUntil('it is deleted', async () => {
    const status = await admin.get(`${v2}/delete_status/${id}`)
    return status.status === 'complete' && status
  })
  const nothing = { failed_to_kick_users: [], local_aliases: [], new_room_id: null }
  expect(done).toEqual({
    ...{ delete_id: id, room_id: roomId, status: 'complete' },
    shutdown_room: { ...nothing, kicked_users: [alice.userId, bob.userId].sort() },
  })
  expect(await admin.get(`${path}/delete_status`)).toEqual({ results: [done] })
  const { rooms } = await bob.get(`${v3}/sync?since=${since}`)
  expect(rooms.join ?? {}).not.toHaveProperty([roomId])
  const leave = { type: 'm.room.member', state_key: bob.userId, content: { membership: 'leave' } }
  expect(rooms.leave[roomId].timeline.events.at(-1)).toMatchObject(leave)
  expect((await refusal(bob, 'GET', roomPath(roomId, 'messages?dir=b')))[0]).toBe(403)
  expect((await refusal(admin, 'GET', `/_synapse/admin/v1/rooms/${encodeURIComponent(roomId)}`))[0]).toBe(404)
})
