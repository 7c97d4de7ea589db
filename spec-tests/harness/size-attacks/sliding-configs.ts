import { expect } from 'vitest'
import { registerUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { slidingClient, UNSTABLE_SLIDING_SYNC } from '../sliding-client.ts'
import { entries, refused, text } from './sizes.ts'

const pairs = (count: number, of: string) =>
  Array.from({ length: count }, (_, place) => [`${of}${place}`, text(200)] as const)
const LARGE = { required_state: pairs(400, 'm.'), timeline_limit: 1 }

/** Configurations and connections of sliding sync, which the server stores. */
export const slidingConfigs: Attack[] = [
  refused('a list of sliding sync that wants 80,000 characters of state', (user) =>
    user.ask('POST', UNSTABLE_SLIDING_SYNC, { lists: { all: { ...LARGE, ranges: [[0, 9]] } } }),
  ),
  refused('a subscription that wants so much', (user, { roomId }) =>
    user.ask('POST', UNSTABLE_SLIDING_SYNC, { room_subscriptions: { [roomId]: LARGE } }),
  ),
  refused('many lists that want so much together', (user) => {
    const list = (place: number) => ({ required_state: pairs(10, `m.${place}.`), timeline_limit: 1, ranges: [[0, 9]] })
    const lists = Object.fromEntries(Array.from({ length: 50 }, (_, place) => [`list${place}`, list(place)]))
    return user.ask('POST', UNSTABLE_SLIDING_SYNC, { lists })
  }),
  refused('state to be left out, in the other form of sliding sync', (user) => {
    const exclude = pairs(400, 'm.').map(([type, state_key]) => ({ type, state_key }))
    const config = { required_state: { exclude }, timeline_limit: 1 }
    return user.ask('POST', '/_matrix/client/v4/sync', { lists: { all: config } })
  }),
  refused('a connection that goes on with more than it began with', async (user) => {
    const sliding = slidingClient(user)
    await sliding.sync({ lists: { all: { timeline_limit: 1, ranges: [[0, 9]] } } })
    return sliding.ask({ lists: { all: { ...LARGE, ranges: [[0, 9]] } } })
  }),
  {
    name: 'a hundred subscriptions that want the same count once',
    async attempt({ url }) {
      const user = await registerUser(url)
      const config = { required_state: pairs(10, 'm.'), timeline_limit: 1 }
      const room_subscriptions = entries(100, (place) => `!room${place}:example.org`, config)
      expect((await slidingClient(user).ask({ room_subscriptions })).status).toBe(200)
    },
  },
  {
    name: 'connection after connection of sliding sync',
    async attempt({ url }) {
      const user = await registerUser(url)
      const connections = Array.from({ length: 18 }, (_, place) =>
        slidingClient(user, { connId: `connection${place}` }),
      )
      for (const connection of connections) await connection.sync({})
      const answers = []
      for (const connection of connections) answers.push(await connection.ask({}))
      expect(answers.slice(0, 2).map(({ status, body }) => [status, body.errcode])).toEqual([
        [400, 'M_UNKNOWN_POS'],
        [400, 'M_UNKNOWN_POS'],
      ])
      expect(answers.slice(2).map(({ status }) => status)).toEqual(answers.slice(2).map(() => 200))
    },
  },
]
