import { expect, test } from 'vitest'
import { startClientApi } from '../../../testing/client-api.ts'
import { roomEndpoints } from '../room-endpoints.ts'
import { oldSyncEndpoints } from './old-sync.ts'

test('peeking: a room that the world may read, and what happens in it', async () => {
  const api = await startClientApi({ endpoints: [...roomEndpoints, ...oldSyncEndpoints] })
  const [alice, bob] = [await api.client('alice'), await api.client('bob')]
  const visibility = { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }
  const open = await alice.createRoom({ initial_state: [visibility] })
  const closed = await alice.createRoom()
  const first = await bob.ok('GET', `/rooms/${open}/initialSync?limit=1`)
  expect(first).not.toHaveProperty('membership')
  expect(first.messages.chunk).toHaveLength(1)
  const listening = bob.ok('GET', `/events?room_id=${open}&timeout=20000&from=${first.messages.end}`)
  const { event_id } = await alice.ok('PUT', `/rooms/${open}/send/m.room.message/1`, { msgtype: 'm.text', body: 'x' })
  const heard = await listening
  expect(heard.chunk.map((event: { event_id: string }) => event.event_id)).toEqual([event_id])
  expect((await bob.ok('GET', `/events?room_id=${open}&from=${heard.end}`)).chunk).toEqual([])
  expect((await bob.ok('GET', `/events?from=${first.messages.end}`)).chunk).toEqual([])
  expect((await alice.ok('GET', `/events?from=${first.messages.end}`)).chunk).toHaveLength(1)
  expect(await bob.ask('GET', `/rooms/${closed}/initialSync`)).toMatchObject({ status: 403 })
  expect(await bob.ask('GET', `/events?room_id=${closed}`)).toMatchObject({ status: 403 })
  expect(await bob.ask('GET', '/events?from=x')).toMatchObject({ status: 400 })
  expect(await bob.ok('GET', `/events/${event_id}`)).toMatchObject({ room_id: open })
  expect((await alice.ok('GET', '/initialSync')).rooms).toHaveLength(2)
  await api.close()
})
