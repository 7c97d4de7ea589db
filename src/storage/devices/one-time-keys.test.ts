import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from '../engine/database.ts'
import { migrate } from '../engine/migrate.ts'
import { openDatabase } from '../engine/open-database.ts'
import { insertUser } from '../users/users.ts'
import { ensureDevice } from './devices.ts'
import { loadUnusedFallbackKeyTypes, replaceFallbackKeys, useFallbackKeys } from './fallback-keys.ts'
import { addOneTimeKeys, countOneTimeKeys, takeOneTimeKeys } from './one-time-keys.ts'

const device = { userId: '@a:x' as UserId, deviceId: 'D' as DeviceId }
const claim = { user_id: device.userId, device_id: device.deviceId, algorithm: 'signed_curve25519' }

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

function open(url: string): Promise<Database> {
  const reportError = (error: unknown) => {
    throw error
  }
  return openDatabase({ url, folder: '', poolSize: 16, cacheBytes: 1_000_000, reportError })
}

async function addDevice(database: Database): Promise<void> {
  await database.write(async (tx) => {
    const user = { user_id: device.userId, password_hash: null, is_admin: false, is_guest: false, created_ts: 0 }
    await insertUser(tx, user)
    await ensureDevice(tx, { ...device, displayName: null, now: 0 })
  })
}

function keys(from: number, to: number) {
  return Array.from({ length: to - from }, (_, place) => {
    const key_id = String(from + place)
    return { algorithm: claim.algorithm, key_id, key_json: JSON.stringify(`key ${key_id}`) }
  })
}

test('64 claims at once from two processes get each of 50 keys once, and the fallback key for the rest', async () => {
  const url = await postgres.createDatabase()
  const databases = [await open(url), await open(url)]
  const [one] = databases as [Database, Database]
  await migrate(one)
  await addDevice(one)
  await one.write(async (tx) => {
    await addOneTimeKeys(tx, device, keys(0, 50))
    await replaceFallbackKeys(tx, device, [{ algorithm: claim.algorithm, key_id: 'fallback', key_json: '"f"' }])
  })
  const claims = Array.from({ length: 64 }, (_, number) =>
    databases[number % 2]!.write(async (tx) => {
      const taken = await takeOneTimeKeys(tx, [claim])
      return taken.length > 0 ? taken : useFallbackKeys(tx, [claim])
    }),
  )
  const given = (await Promise.all(claims)).flat().map((key) => key.key_id)
  expect(given).toHaveLength(64)
  const expected = [...keys(0, 50).map((key) => key.key_id), ...Array<string>(14).fill('fallback')]
  expect(given.sort()).toEqual(expected.sort())
  expect(await countOneTimeKeys(one, device)).toEqual({})
  expect(await loadUnusedFallbackKeyTypes(one, device)).toEqual([])
  await Promise.all(databases.map((database) => database.close()))
})

test('keys are given out in the order of the uploads', async () => {
  const database = await createTestDatabase()
  await addDevice(database)
  for (const [from, to] of [
    [7, 8],
    [3, 4],
    [5, 6],
  ] as const) {
    await database.write((tx) => addOneTimeKeys(tx, device, keys(from, to)))
  }
  const given: string[] = []
  for (let i = 0; i < 4; i++) {
    const [key] = await database.write((tx) => takeOneTimeKeys(tx, [claim]))
    if (key) given.push(key.key_id)
  }
  expect(given).toEqual(['7', '3', '5'])
  await database.close()
})
