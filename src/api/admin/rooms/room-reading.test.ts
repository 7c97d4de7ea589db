import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { forgetEvent } from '../../../storage/rooms/timeline/events.ts'
import { send, startSyncApi } from '../../../testing/sync-requests.ts'
import { ENDPOINTS } from '../../endpoints.ts'
import { administeredRoomEndpoints } from './room-reading.ts'

test('a rejected event is shown with the rule that refused it', async () => {
  const api = await startSyncApi({ endpoints: [...ENDPOINTS.client, ...administeredRoomEndpoints] })
  const admin = await api.client('admin', { admin: true })
  const roomId = await admin.createRoom()
  const [kept, refused] = [await send(admin, roomId, 'kept'), await send(admin, roomId, 'refused')]
  const { database } = api.app
  await sql`update events set rejected = 'the sender is not in the room', event_order = null
    where event_id = ${refused}`.execute(database.sql)
  forgetEvent(database, refused)
  const fetchEvent = (id: string) => admin.ok('GET', `/../../../_synapse/admin/v1/fetch_event/${id}`)
  expect((await fetchEvent(refused)).event).toMatchObject({
    event_id: refused,
    unsigned: { 'hearth.rejected': 'the sender is not in the room' },
  })
  expect((await fetchEvent(kept)).event).not.toHaveProperty('unsigned')
  await api.close()
})
