import { afterAll, beforeAll, expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import type { MatrixError } from '../../core/errors.ts'
import { fixedClock } from '../../infra/clock.ts'
import { systemRandom } from '../../infra/random.ts'
import type { Database } from '../../storage/engine/database.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { createRendezvous, readRendezvous, writeRendezvous } from './rendezvous.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

const appAt = (counts = {}) => ({
  database,
  clock: fixedClock(1_700_000_000_000),
  random: systemRandom,
  config: defaultConfig({ limits: { counts } }),
})

test('a session ends by itself, however busy, and its place is free again', async () => {
  const app = appAt()
  const begin = () =>
    createRendezvous(app, { creator: { name: 'c', network: 'n' }, content: 'x', contentType: 'text/plain' })
  const sessions = await Promise.all(Array.from({ length: 10 }, begin))
  await expect(begin()).rejects.toMatchObject({ status: 429 })
  const { session_id: sessionId, sequence_token: replaces } = sessions[0]!
  app.clock.advance(5 * 60_000 - 1)
  const write = { sessionId, replaces, content: 'y', contentType: 'text/plain', txnId: 't' }
  const written = await writeRendezvous(app, write)
  expect(await writeRendezvous(app, write)).toMatchObject({ sequence_token: written!.sequence_token })
  app.clock.advance(1)
  await expect(readRendezvous(app, sessionId)).rejects.toMatchObject({ status: 404 })
  await expect(writeRendezvous(app, write)).rejects.toMatchObject({ status: 404 })
  await begin()
})

test('one wide network cannot fill the places of others, and hears when it may try again', async () => {
  const app = appAt({ rendezvous_of_network: 12 })
  const begin = (name: string, network: string | null) =>
    createRendezvous(app, { creator: { name, network }, content: 'x', contentType: 'text/plain' })
  app.clock.advance(3_600_000)
  for (let place = 0; place < 12; place++) {
    await begin(`2001:db8:1:${place}`, '2001:db8:1')
    app.clock.advance(1000)
  }
  const refusal = await begin('2001:db8:1:99', '2001:db8:1').catch((error: unknown) => error)
  expect(refusal).toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' })
  expect((refusal as MatrixError).toJSON().retry_after_ms).toBe(5 * 60_000 - 12_000)
  await begin('2001:db8:2:1', '2001:db8:2')
  await begin('@alice:hearth.test', null)
  app.clock.advance(5 * 60_000 - 12_000)
  await begin('2001:db8:1:99', '2001:db8:1')
})

test('sessions of strangers take no places of users', async () => {
  const app = appAt({ rendezvous_in_all: 3 })
  const begin = (name: string, network: string | null) =>
    createRendezvous(app, { creator: { name, network }, content: 'x', contentType: 'text/plain' })
  app.clock.advance(7_200_000)
  for (let place = 0; place < 3; place++) await begin(`192.0.${place}.1`, `192.0.${place}`)
  await expect(begin('192.0.9.1', '192.0.9')).rejects.toMatchObject({ status: 429 })
  await begin('@alice:hearth.test', null)
})
