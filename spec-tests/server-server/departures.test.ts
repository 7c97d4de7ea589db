import { afterAll, beforeAll, describe, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { type Cast, DEPARTURE_FILTERS, DEPARTURES, expectDepartureTold } from '../harness/departures.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { createRoom, roomPath, syncUntil, v3 } from '../harness/rooms.ts'

/** As client-server/sync-departures.test.ts, for a remote room. */
let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let away: TestHearth

beforeAll(async () => {
  federation = await startFederation()
  ;[home, away] = await Promise.all([federation.hearth(), federation.hearth()])
})
afterAll(() => federation.dispose())

/** Waits until Bob's server knows his membership. */
function arrival({ bob, roomId }: Cast, section: string): Promise<unknown> {
  const filter = encodeURIComponent(JSON.stringify({ room: { include_leave: true } }))
  return pollUntil(`the room is in ${section}`, async () => {
    return (await bob.get(`${v3}/sync?filter=${filter}`)).rooms?.[section]?.[roomId]
  })
}

/** Bob's membership before he departs. Non-members get no events of others. */
const REMOTE: Record<string, string> = {
  leaves: 'join',
  'leaves by a state event': 'join',
  'is kicked': 'join',
  'is banned': 'join',
  'rejects an invite': 'invite',
  'loses an invite': 'invite',
  'is banned when invited': 'invite',
  'retracts a knock': 'knock',
  'knocks in vain': 'knock',
  'is banned when knocking': 'knock',
}

describe.each(Object.keys(REMOTE))('a user of another server who %s', (name) => {
  test('is told so, with each filter', async () => {
    const departure = DEPARTURES[name]!
    const [alice, bob] = (await Promise.all([registerUser(home.url), registerUser(away.url)])) as [TestUser, TestUser]
    const cast = { alice, bob, roomId: await createRoom(alice), via: home.serverName }
    for (const step of departure.enter) await step(cast)
    await arrival(cast, REMOTE[name]!)
    const { next_batch: since } = await bob.get(`${v3}/sync`)
    await departure.leave(cast)
    for (const filter of Object.keys(DEPARTURE_FILTERS)) {
      await expectDepartureTold(cast, departure, { filter, since })
      await expectDepartureTold(cast, departure, { filter, since: undefined })
    }
  })
})

test.each(['leaves', 'is kicked', 'is banned', 'logs out'])(
  'typing ends on both servers when the user %s',
  async (name) => {
    const [alice, bob] = (await Promise.all([registerUser(home.url), registerUser(away.url)])) as [TestUser, TestUser]
    const carol = await registerUser(away.url)
    const roomId = await createRoom(alice)
    for (const user of [bob, carol]) await user.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
    const listeners = await Promise.all(
      [alice, carol].map(async (user) => ({ user, since: (await user.get(`${v3}/sync`)).next_batch as string })),
    )
    const hear = (users: string[]) =>
      Promise.all(
        listeners.map(async (listener) => {
          listener.since = await syncUntil(listener.user, listener.since, ({ rooms, next_batch }) => {
            const events = rooms?.join?.[roomId]?.ephemeral?.events ?? []
            const last = events.findLast(({ type }: { type: string }) => type === 'm.typing')
            return JSON.stringify(last?.content.user_ids) === JSON.stringify(users) && next_batch
          })
        }),
      )
    await bob.put(roomPath(roomId, `typing/${encodeURIComponent(bob.userId)}`), { typing: true, timeout: 120_000 })
    await hear([bob.userId])
    if (name === 'logs out') await bob.post(`${v3}/logout`)
    else await DEPARTURES[name]!.leave({ alice, bob, roomId, via: home.serverName })
    await hear([])
  },
)
