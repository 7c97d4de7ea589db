import { describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { DEPARTURE_FILTERS, DEPARTURES, expectDepartureTold } from '../harness/departures.ts'
import { createRoom, v3 } from '../harness/rooms.ts'

/**
 * However a user leaves a room, both forms of /sync include the user's own member event.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
 */
const { url } = inject('homeserver')

describe.each(Object.keys(DEPARTURES))('a user who %s', (name) => {
  const departure = DEPARTURES[name]!

  test.each(Object.keys(DEPARTURE_FILTERS))('gets the departure, with %s', async (filter) => {
    const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
    const roomId = await createRoom(alice, { topic: 'secret topic' })
    const cast = { alice, bob, roomId, via: alice.userId.replace(/^[^:]*:/, '') }
    for (const step of departure.enter) await step(cast)
    const { next_batch: since } = await bob.get(`${v3}/sync`)
    await departure.leave(cast)
    await sendText(alice, roomId, 'behind the back')
    await expectDepartureTold(cast, departure, { filter, since })
    await expectDepartureTold(cast, departure, { filter, since: undefined })
    expect(JSON.stringify((await bob.get(`${v3}/sync?since=${since}`)).rooms.leave)).not.toContain('behind the back')
  })
})
