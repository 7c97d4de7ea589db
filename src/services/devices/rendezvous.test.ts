import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixedClock } from '../../infra/clock.ts'
import { systemRandom } from '../../infra/random.ts'
import type { Database } from '../../storage/database.ts'
import { createTestDatabase } from '../../storage/test-database.ts'
import { createRendezvous, readRendezvous, writeRendezvous } from './rendezvous.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

test('a session ends by itself, however busy, and its place is free again', async () => {
  const app = { database, clock: fixedClock(1_700_000_000_000), random: systemRandom }
  const begin = () => createRendezvous(app, { creator: 'c', content: 'x', contentType: 'text/plain' })
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
