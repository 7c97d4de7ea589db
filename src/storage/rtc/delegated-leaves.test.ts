import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ServerName, UserId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from '../engine/database.ts'
import type { DelegatedLeaveRow } from '../schema/rtc.ts'
import { leaseDueLeaves, putDelegatedLeave } from './delegated-leaves.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

/** Stores a leave event. */
async function put(room: string, identity: string, times: { ready_ts: number; gone_ts: number }): Promise<void> {
  const row: DelegatedLeaveRow = {
    livekit_room: room,
    identity,
    user_id: '@alice:hearth.test' as UserId,
    server_name: 'hearth.test' as ServerName,
    base_url: null,
    delay_id: identity,
    delay_ms: 10_000,
    restarted_ts: 0,
    connected: true,
    ...times,
  }
  await database.write((tx) => putDelegatedLeave(tx, row))
}

test('the rows of a room are leased together, except those that wait to be sent again', async () => {
  await put('due', 'due', { ready_ts: 100, gone_ts: 900 })
  await put('due', 'present', { ready_ts: 300, gone_ts: 900 })
  await put('due', 'sent again later', { ready_ts: 300, gone_ts: 50 })
  await put('later', 'later', { ready_ts: 300, gone_ts: 900 })
  await put('active', 'active', { ready_ts: 100, gone_ts: 900 })
  const lease = { now: 100, until: 500, limit: 10, except: ['active'] }
  const leased = await database.write((tx) => leaseDueLeaves(tx, lease))
  expect(leased.map(({ identity }) => identity).sort()).toEqual(['due', 'present'])
  expect(await database.write((tx) => leaseDueLeaves(tx, lease))).toEqual([])
})
