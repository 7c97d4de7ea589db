import { expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3912 */
const { url } = inject('homeserver')

async function relate(user: TestUser, room: string, relation: { rel_type: string; event_id: string }): Promise<string> {
  const type = relation.rel_type === 'm.annotation' ? 'm.reaction' : 'm.room.message'
  const content = { body: 'related', 'm.relates_to': { ...relation, key: uniqueName() } }
  return (await user.put(`${room}/send/${type}/${uniqueName()}`, content)).event_id
}

test('a redaction takes what relates to its event with it, of the wanted types and as far as allowed', async () => {
  const [alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
  const { room_id: roomId } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
  const room = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
  await bob.post(`${room}/join`)
  const isEmpty = async (eventId: string) =>
    Object.keys((await alice.get(`${room}/event/${encodeURIComponent(eventId)}`)).content).length === 0
  const redact = (user: TestUser, eventId: string, relTypes: unknown) =>
    user.ask('PUT', `${room}/redact/${encodeURIComponent(eventId)}/${uniqueName()}`, {
      reason: 'r',
      'org.matrix.msc3912.with_relations': relTypes,
    })

  const root = await sendText(bob, roomId, 'root')
  const own = await relate(bob, room, { rel_type: 'm.thread', event_id: root })
  const reaction = await relate(bob, room, { rel_type: 'm.annotation', event_id: root })
  const foreign = await relate(alice, room, { rel_type: 'm.thread', event_id: root })
  expect((await redact(bob, root, 'm.thread')).body.errcode).toBe('M_BAD_JSON')
  expect(await isEmpty(root)).toBe(false)
  expect((await redact(bob, root, ['m.thread'])).status).toBe(200)
  await pollUntil('the own reply is redacted', () => isEmpty(own))
  expect(await Promise.all([root, reaction, foreign].map(isEmpty))).toEqual([true, false, false])

  const other = await sendText(bob, roomId, 'other')
  const many: string[] = []
  for (let number = 0; number < 60; number++)
    many.push(await relate(bob, room, { rel_type: number % 2 ? 'm.thread' : 'm.annotation', event_id: other }))
  await redact(alice, other, ['*'])
  await pollUntil('all are redacted', async () => (await Promise.all(many.map(isEmpty))).every(Boolean))
})
