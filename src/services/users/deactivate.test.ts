import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, EventId, RoomId, UserId } from '../../core/ids.ts'
import { storeBackupSessions } from '../../storage/devices/backed-up-keys.ts'
import { storeCrossSigningKeys } from '../../storage/devices/cross-signing-keys.ts'
import { storeDeviceKeys } from '../../storage/devices/device-keys.ts'
import { replaceFallbackKeys } from '../../storage/devices/fallback-keys.ts'
import { insertKeyBackup } from '../../storage/devices/key-backups.ts'
import { addOneTimeKeys } from '../../storage/devices/one-time-keys.ts'
import { claimToDeviceTransaction, storeToDeviceMessages } from '../../storage/devices/to-device.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { findPresence, storePresence } from '../../storage/presence/presence.ts'
import { storeNotifications } from '../../storage/push/notifications.ts'
import { storeReceipts } from '../../storage/rooms/receipts.ts'
import { beginRemoval, endRemoval } from '../../storage/rooms/removal/room-removals.ts'
import { insertNoticesRoom } from '../../storage/rooms/server-notices.ts'
import { storeThreadSubscription } from '../../storage/rooms/thread-subscriptions.ts'
import { putDelegatedLeave } from '../../storage/rtc/delegated-leaves.ts'
import { insertPasskey } from '../../storage/sign-in/passkeys.ts'
import { replaceRecoveryCodes } from '../../storage/sign-in/recovery-codes.ts'
import { storePendingTotpSecret } from '../../storage/sign-in/totp-secrets.ts'
import { storeRenewalToken } from '../../storage/users/account-validity.ts'
import { storeThreepidSession } from '../../storage/users/threepids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { createUser } from './create-user.ts'
import { deactivateUser } from './deactivate.ts'
import { logInWithPassword } from './log-in.ts'
import { newLoginToken } from './login-tokens.ts'
import { findSession } from './sessions.ts'
import { putAccountData } from './settings/account-data.ts'
import { addFilter } from './settings/filters.ts'
import { newOpenIdToken } from './settings/openid-tokens.ts'
import { changePushRules } from './settings/push-rules.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp()
})
afterAll(() => app.close())

/** Creates a user with rows in every table except `ELSEWHERE`. */
async function settledUser(localpart: string): Promise<{ userId: UserId; accessToken: string }> {
  const password = 'correct horse'
  const userId = await createUser(app, { localpart, password, admin: true })
  const device = { wantsRefreshToken: true }
  const { access_token: accessToken, device_id } = await logInWithPassword(app, {
    identifier: { user: localpart },
    password,
    device,
  })
  const session = await findSession(app, { accessToken, ip: '::1', userAgent: undefined })
  await newLoginToken(app, { ...session, deviceId: null })
  await newOpenIdToken(app, userId)
  await app.database.write((tx) => addSecondFactors(tx, userId))
  await app.database.write((tx) => storeRenewalToken(tx, userId, userId))
  await app.database.write((tx) => addPendingAddress(tx, userId))
  await putAccountData(app, userId, { roomId: '', type: 't', content: { a: 1 } })
  await addFilter(app, userId, {})
  await changePushRules(app, userId, (overlay) => overlay)
  await app.database.write((tx) => addEncryption(tx, { userId, deviceId: device_id }))
  await app.database.write((tx) => addUseOfRooms(tx, userId))
  return { userId, accessToken }
}

async function addSecondFactors(tx: Tx, user_id: UserId): Promise<void> {
  const passkey = { credential_id: user_id, user_id, public_key: 'k', counter: 0, transports: '[]', name: '' }
  await storePendingTotpSecret(tx, user_id, 'SECRET')
  await replaceRecoveryCodes(tx, user_id, ['hash'])
  await insertPasskey(tx, { ...passkey, created_ts: 0 })
}

async function addPendingAddress(tx: Tx, user_id: UserId): Promise<void> {
  const key = { purpose: 'add', medium: 'email', address: 'a@example.org', client_secret: 's', user_id }
  const sent = { session_id: user_id, token_hash: 'h', send_attempt: 1, next_link: null }
  await storeThreepidSession(tx, { ...key, ...sent, expires_ts: app.clock.now() + 1000 }, app.clock.now())
}

async function addEncryption(tx: Tx, device: { userId: UserId; deviceId: DeviceId }): Promise<void> {
  const { userId } = device
  const key = { algorithm: 'a', key_id: 'k', key_json: '{}' }
  await storeDeviceKeys(tx, device, '{}')
  await addOneTimeKeys(tx, device, [key])
  await replaceFallbackKeys(tx, device, [key])
  await storeCrossSigningKeys(tx, userId, [{ usage: 'master', public_key: 'p', key_json: '{}' }])
  await storeToDeviceMessages(tx, [{ ...device, sender: userId, type: 't', content: '{}' }], 1000)
  await claimToDeviceTransaction(tx, { ...device, type: 't', txnId: 'x', now: 0 })
  const version = await insertKeyBackup(tx, { userId, algorithm: 'a', authData: '{}' })
  const session = { first_message_index: 0, forwarded_count: 0, is_verified: true, session_data: '{}' }
  await storeBackupSessions(tx, { userId, version }, [{ ...session, room_id: '!r:x' as RoomId, session_id: 's' }])
}

async function addUseOfRooms(tx: Tx, userId: UserId): Promise<void> {
  const [roomId, threadId] = ['!r:x' as RoomId, '$t:x' as EventId]
  const receipt = { room_id: roomId, user_id: userId, thread_id: '', event_id: threadId, event_order: 1, ts: 0 }
  const notifying = [{ event_order: 1, event_nid: 1, thread_id: 'main', highlight: false, actions: '[]' }]
  await storeThreadSubscription(tx, userId, { roomId, threadId, subscribed: true, automatic: false })
  await storeReceipts(tx, [
    { ...receipt, receipt_type: 'm.read' },
    { ...receipt, receipt_type: 'm.read.private' },
  ])
  await storeNotifications(tx, { userId, roomId, countedOrder: 1, notifying, ownReads: [] })
  await insertNoticesRoom(tx, userId, roomId)
  await beginRemoval(tx, { roomId, departures: [{ userId, event: '{}', left: undefined }], now: 0 })
  await endRemoval(tx, roomId)
  const [name, timed] = [userId, { delay_ms: 1, restarted_ts: 0, gone_ts: 0, ready_ts: 0, connected: false }]
  const participant = { livekit_room: name, identity: name, user_id: userId, server_name: app.serverName }
  await putDelegatedLeave(tx, { ...participant, ...timed, base_url: null, delay_id: name })
  const process = { processId: 'p', now: app.clock.now(), idleMs: 1 }
  await storePresence(tx, [{ userId, statusMsg: 'busy', isActive: true }], process)
}

/** Returns the tables that have rows of users. */
async function userTables(): Promise<string[]> {
  const { rows } = await sql<{ table: string }>`select c.table_name as "table" from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and c.column_name = 'user_id' and t.table_type = 'BASE TABLE'`.execute(
    app.database.sql,
  )
  return rows.map(({ table }) => table)
}

async function tablesWith(userId: UserId): Promise<string[]> {
  const found: string[] = []
  for (const table of await userTables()) {
    const result = await sql`select 1 from ${sql.table(table)} where user_id = ${userId}`.execute(app.database.sql)
    if (result.rows.length > 0) found.push(table)
  }
  return found.sort()
}

/** Tables whose rows of a user are not deleted in this place, by the reason. */
const ELSEWHERE = [
  // They follow the memberships, which the job `leave_all_rooms` ends, and the names in these.
  ...['appservice_members', 'room_contacts', 'room_lists', 'room_memberships', 'search_user_words', 'typing'],
  // They expire soon.
  ...['oauth_device_grants', 'oauth_requests', 'uia_sessions'],
  // They end with devices, tokens or browsers, by a foreign key or in `deleteDevices`.
  ...[
    'dehydrated_devices',
    'personal_tokens',
    'presence_devices',
    'pushers',
    'sliding_connections',
    'upstream_devices',
  ],
  // `deactivateUser` deletes them too; `settledUser` has none.
  ...['cross_signing_resets', 'delayed_events', 'oauth_sessions', 'threepids', 'web_sessions'],
  // Links stay without their labels; sessions at providers end by logouts there.
  ...['upstream_links', 'upstream_sessions'],
  // Other servers need the numbers of device-list updates in sequence.
  'device_list_streams',
  // They are about users of other servers, or say what was erased.
  ...['remote_device_keys', 'remote_device_lists', 'erasures'],
]

test('for each table with rows of users it is known where they end', async () => {
  const { userId } = await settledUser('carol')
  const filled = await tablesWith(userId)
  const unknown = (await userTables()).filter((table) => !filled.includes(table) && !ELSEWHERE.includes(table))
  expect(unknown, 'delete the rows of new tables in deactivate.ts, and add some to settledUser').toEqual([])
})

test('access ends, what was stored stays', async () => {
  const { userId, accessToken } = await settledUser('alice')
  await deactivateUser(app, { userId, erase: false })
  expect(await tablesWith(userId)).toEqual([
    'account_data',
    'cross_signing_keys',
    'filters',
    'key_backup_sessions',
    'key_backups',
    'listed_users',
    'notification_progress',
    'notifications',
    'presence',
    'profiles',
    'push_rules',
    'receipts',
    'room_departures',
    'server_notice_rooms',
    'stream',
    'thread_subscriptions',
    'users',
  ])
  const session = findSession(app, { accessToken, ip: '::1', userAgent: undefined })
  await expect(session).rejects.toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
})

test('with erase nothing stays but the name', async () => {
  const { userId } = await settledUser('bob')
  await deactivateUser(app, { userId, erase: true })
  expect(await tablesWith(userId)).toEqual(['listed_users', 'presence', 'stream', 'users'])
  const cleared = { presence: 'offline', status_msg: null, last_active_ts: 0 }
  expect(await findPresence(app.database, userId)).toMatchObject(cleared)
})
