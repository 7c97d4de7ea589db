import { expect } from 'vitest'
import { registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { createRoom, roomPath } from '../rooms.ts'
import { KIB, refused, text, unstable, untilRefused } from './sizes.ts'

const DELAYED = `${unstable}/org.matrix.msc4140/delayed_events`
const LARGE = { msgtype: 'm.text', body: text(45 * KIB) }
const DELAY = 'org.matrix.msc4140.delay=3600000'

const delayMessage = (user: TestUser, roomId: string, place: number) =>
  user.ask('PUT', roomPath(roomId, `send/m.room.message/d${place}?${DELAY}`), LARGE)

/** Delayed events, which the server stores until they are sent and for a while after. */
export const delayedEvents: Attack[] = [
  refused('large delayed messages', async (user) => {
    const roomId = await createRoom(user)
    return untilRefused(4, (place) => delayMessage(user, roomId, place))
  }),
  refused('large delayed state', async (user) => {
    const roomId = await createRoom(user)
    const path = (place: number) => roomPath(roomId, `state/org.example/key${place}?${DELAY}`)
    return untilRefused(4, (place) => user.ask('PUT', path(place), LARGE))
  }),
  refused('large delayed events in several rooms', async (user) => {
    const rooms = [await createRoom(user), await createRoom(user)]
    return untilRefused(4, (place) => delayMessage(user, rooms[place % 2]!, place))
  }),
  {
    name: 'large delayed events that are cancelled, again and again',
    async attempt({ url }) {
      const user = await registerUser(url)
      const roomId = await createRoom(user)
      for (let place = 0; place < 6; place++) {
        const { status, body } = await delayMessage(user, roomId, place)
        expect(status).toBe(200)
        await user.post(`${DELAYED}/${body.delay_id}`, { action: 'cancel' })
      }
      const { finalised } = await user.get(DELAYED)
      expect(JSON.stringify(finalised).length).toBeLessThan(150 * KIB)
      expect(finalised.length).toBeGreaterThan(1)
    },
  },
]
