import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import type { RoomId, ServerName } from '../../core/ids.ts'
import type { Database } from '../engine/database.ts'
import { migrate } from '../engine/migrate.ts'
import { openDatabase } from '../engine/open-database.ts'
import { createRoomTransactions } from './room-transactions.ts'

let postgres: TestPostgres
let database: Database
beforeAll(async () => {
  postgres = await startPostgres()
  const url = await postgres.createDatabase()
  database = await openDatabase({ url, folder: '', poolSize: 4, cacheBytes: 1_000_000, reportError: () => {} })
  await migrate(database)
})
afterAll(async () => {
  await database.close()
  await postgres.stop()
})

test('a room with a slow command, and another that waits for it, holds up no other room', async () => {
  const rooms = createRoomTransactions(database, {
    lanes: 2,
    serverName: 'x' as ServerName,
    clock: { now: () => 0 },
  })
  const done: string[] = []
  const command = (name: string, until?: Promise<void>) => async () => {
    await until
    done.push(name)
  }
  const [slow, quick] = ['!slow:x', '!quick:x'] as RoomId[]
  const gate = Promise.withResolvers<void>()
  onTestFinished(() => gate.resolve())
  const begun = Promise.withResolvers<void>()
  const first = rooms.run(slow!, () => {
    begun.resolve()
    return command('slow', gate.promise)()
  })
  await begun.promise
  const second = rooms.run(slow!, command('after slow'))
  // By then the second one is known to wait.
  await setImmediate()
  await rooms.run(quick!, command('quick'))
  expect(done).toEqual(['quick'])
  gate.resolve()
  await Promise.all([first, second, rooms.drained()])
  expect(done).toEqual(['quick', 'slow', 'after slow'])
})
