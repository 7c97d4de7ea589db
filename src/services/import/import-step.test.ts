import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRandom } from '../../infra/random.ts'
import { openSynapseDatabase, type SynapseDatabase } from '../../infra/synapse/synapse-database.ts'
import type { Database } from '../../storage/engine/database.ts'
import { createNidSource } from '../../storage/engine/nids.ts'
import { continueNumbers } from '../../storage/import/continue-numbers.ts'
import { moveBookmark } from '../../storage/import/imports.ts'
import { forgetEvent } from '../../storage/rooms/timeline/events.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { ACCOUNT_STEPS, SIGN_IN_STEPS } from './import-accounts.ts'
import { DELIVERY_STEPS } from './import-delivery.ts'
import { createRoomStep } from './import-rooms.ts'
import { ROOM_STEPS } from './import-rooms-beside.ts'
import { SERVER_STEPS } from './import-server.ts'
import type { ImportContext, ImportStep } from './import-step.ts'
import { checkProviders } from './synapse-providers.ts'
import { compareCounts, verifyRooms } from './verify-import.ts'

/** The columns of Synapse's tables that the steps in these tests read. */
const SCHEMA = `
  create table events (event_id text, room_id text, stream_ordering integer, depth, outlier, type text, sender text);
  create table event_json (event_id text, json text, internal_metadata text);
  create table rooms (room_id text, room_version text, is_public);
  create table rejections (event_id text, reason text);
  create table redactions (event_id text, redacts text);
  create table event_to_state_groups (event_id text, state_group integer);
  create table event_txn_id_device_id (event_id text, device_id text, txn_id text);
  create table event_forward_extremities (event_id text, room_id text);
  create table current_state_events (room_id text, type text, state_key text, event_id text);
  create table current_state_delta_stream (stream_id integer, type text, state_key text, event_id text);
  create table room_memberships (event_id text, room_id text, user_id text, sender text, membership text,
    display_name text, avatar_url text, forgotten);
  create table local_current_membership (event_id text, room_id text, user_id text, membership text);
  create table receipts_linearized (stream_id integer, room_id text, receipt_type text, user_id text, thread_id text,
    event_id text, data text);
  create table device_lists_remote_extremeties (user_id text, stream_id text);
  create table device_lists_remote_resync (user_id text);
  create table server_keys_json (server_name text, key_id text, from_server text, ts_added_ms integer,
    ts_valid_until_ms integer, key_json text);
  create table users (name text);
  create table room_account_data (user_id text, room_id text, account_data_type text, content text);
  create table room_tags (user_id text, room_id text, tag text, content text);
  create table user_external_ids (auth_provider text, external_id text, user_id text);
  create table thread_subscriptions (stream_id integer, user_id text, room_id text, event_id text, subscribed, automatic);
  create table delayed_events (delay_id text, user_localpart text, device_id text, delay integer, send_ts integer,
    room_id text, event_type text, state_key text, content text, sticky_duration_ms integer, is_processed);
  create table registration_tokens (token text, uses_allowed integer, completed integer, expiry_time integer);`
const USER = '@user:hearth.test'
const MOST = '9223372036854775807'
const file = join(mkdtempSync(join(tmpdir(), 'hearth-import-')), 'homeserver.db')

let database: Database
let main: SynapseDatabase
let context: ImportContext
beforeAll(async () => {
  const synapse = new DatabaseSync(file)
  synapse.exec(SCHEMA)
  const add = (table: string, row: Record<string, string | number | bigint>) => {
    const names = Object.keys(row)
    const marks = names.map(() => '?').join(', ')
    synapse.prepare(`insert into ${table} (${names.join(', ')}) values (${marks})`).run(...Object.values(row))
  }
  const addEvent = (room_id: string, place: number, json: string, depth: number | bigint = place) => {
    const event_id = `$${place}:other.test`
    add('events', { event_id, room_id, stream_ordering: place, depth, outlier: 0, type: 'm.room.create' })
    add('event_json', { event_id, json, internal_metadata: '{}' })
  }
  const create = `"type":"m.room.create","state_key":"","sender":"@a:other.test","content":{"creator":"@a:other.test"},
    "auth_events":[],"prev_events":[],"hashes":{},"signatures":{}`
  add('rooms', { room_id: '!new:other.test', room_version: 'org.example.new', is_public: 0 })
  addEvent('!new:other.test', 1, '{}')
  add('rooms', { room_id: '!old:other.test', room_version: '1', is_public: 0 })
  addEvent(
    '!old:other.test',
    2,
    `{${create},"event_id":"$2:other.test","room_id":"!old:other.test","depth":${MOST},"origin_server_ts":1.5}`,
    BigInt(MOST),
  )
  const receipt = { room_id: '!old:other.test', receipt_type: 'm.read', event_id: '$2:other.test' }
  for (const [at, ts] of ['1.5', '1e300', '"soon"', '7'].entries())
    add('receipts_linearized', { ...receipt, stream_id: at, user_id: `@${at}:other.test`, data: `{"ts":${ts}}` })
  for (const stream_id of ['1.5', 'x', MOST, '7'])
    add('device_lists_remote_extremeties', { user_id: `@${stream_id}:other.test`, stream_id })
  const keys = { server_name: 'other.test', from_server: 'other.test', ts_added_ms: 1, ts_valid_until_ms: 1 }
  for (const [key_id, ts] of Object.entries({ 'ed25519:a': '1e300', 'ed25519:b': '1.5', 'ed25519:c': '"x"' })) {
    const key_json = `{"old_verify_keys":{"${key_id}":{"key":"abc","expired_ts":${ts}}}}`
    add('server_keys_json', { ...keys, key_id, key_json })
  }
  add('registration_tokens', { token: 'a', uses_allowed: 3, completed: 1 })
  const state = { room_id: '!old:other.test', type: 'm.room.create', state_key: '', event_id: '$2:other.test' }
  add('current_state_events', state)
  add('event_forward_extremities', { event_id: '$2:other.test', room_id: '!old:other.test' })
  add('users', { name: USER })
  for (const auth_provider of ['oidc-exact', 'oidc-short', 'oidc-absent', 'cas', 'saml'])
    add('user_external_ids', { auth_provider, external_id: 'x', user_id: USER })
  const ofRoom = { user_id: USER, room_id: '!old:other.test' }
  for (const account_data_type of ['m.fully_read', 'm.tag'])
    add('room_account_data', { ...ofRoom, account_data_type, content: '{}' })
  add('room_tags', { ...ofRoom, tag: 'u.work', content: '{"order":0.5}' })
  const thread = { user_id: USER, room_id: '!old:other.test', event_id: '$2:other.test' }
  add('thread_subscriptions', { ...thread, stream_id: 1, subscribed: 1, automatic: 0 })
  const delayed = { delay: 5, send_ts: 7, room_id: '!old:other.test', event_type: 'm.x', content: '{}' }
  for (const user_localpart of ['user', 'gone'])
    add('delayed_events', { ...delayed, delay_id: user_localpart, user_localpart, is_processed: 0 })
  synapse.close()
  database = await createTestDatabase()
  await database.write((tx) => continueNumbers(tx, { nid: 3, position: 2, activity: 2 }))
  main = await openSynapseDatabase({ engine: 'sqlite', file })
  const extent = { lastOrdering: 2, nidShift: 1, lastPosition: 2 }
  await sql`insert into users (user_id, created_ts) values (${USER}, 0)`.execute(database.sql)
  const numbers = { database, takeNids: createNidSource(), random: systemRandom, extent, now: 0 }
  const providers = ['short', 'oidc-exact', 'exact', 'cas'].map((id) => ({ id }))
  context = {
    ...numbers,
    providers,
    main,
    state: main,
    serverName: 'hearth.test',
    note: () => {},
  } as unknown as ImportContext
})
afterAll(async () => {
  await main?.close()
  await database?.close()
  rmSync(dirname(file), { recursive: true, force: true })
})

async function run(step: ImportStep): Promise<number> {
  let read = 0
  let bookmark: unknown = null
  for (;;) {
    const batch = await step.next(context, bookmark)
    if (!batch) return read
    await database.write((tx) => batch.write(tx))
    read += batch.read
    bookmark = batch.bookmark
  }
}

const named = (steps: readonly ImportStep[], name: string) => steps.find((step) => step.name === name)!

test('events of rooms that are left out count as read, and numbers that cannot be stored are limited', async () => {
  const step = createRoomStep()
  expect(await run(step)).toBe(await step.count!(context))
  const { rows } = await sql`select event_id, depth, origin_server_ts from events`.execute(database.sql)
  expect(rows).toEqual([{ event_id: '$2:other.test', depth: Number.MAX_SAFE_INTEGER, origin_server_ts: 1 }])
})

test('receipts, device lists and keys of other servers may have any numbers', async () => {
  await run(named(ROOM_STEPS, 'receipts'))
  const receipts = await sql<{ ts: number }>`select ts from receipts order by user_id`.execute(database.sql)
  expect(receipts.rows.map(({ ts }) => ts)).toEqual([1, Number.MAX_SAFE_INTEGER, 0, 7])
  await run(named(DELIVERY_STEPS, 'device lists of other servers'))
  const lists = await sql`select stream_id, is_stale from remote_device_lists order by user_id`.execute(database.sql)
  expect(lists.rows).toEqual([
    { stream_id: null, is_stale: true },
    { stream_id: 7, is_stale: false },
    ...[1, 2].map(() => ({ stream_id: null, is_stale: true })),
  ])
  await run(named(SERVER_STEPS, 'keys of other servers'))
  const keys = await sql<{ valid_until_ts: number }>`select valid_until_ts from server_keys order by key_id`.execute(
    database.sql,
  )
  expect(keys.rows.map(({ valid_until_ts }) => valid_until_ts)).toEqual([Number.MAX_SAFE_INTEGER, 1, 0])
})

test('registration tokens count as created now', async () => {
  await run(named(SIGN_IN_STEPS, 'registration tokens'))
  const { rows } = await sql`select token, uses_allowed, uses_completed, created_ts, expires_ts
    from registration_tokens`.execute(database.sql)
  expect(rows).toEqual([{ token: 'a', uses_allowed: 3, uses_completed: 1, created_ts: 0, expires_ts: null }])
})

test('tags of rooms are not hidden by account data of the same type', async () => {
  await run(named(ACCOUNT_STEPS, 'account data of rooms'))
  await run(named(ACCOUNT_STEPS, 'tagged rooms'))
  const { rows } = await sql`select type, content from account_data order by type`.execute(database.sql)
  expect(rows).toEqual([
    { type: 'm.fully_read', content: '{}' },
    { type: 'm.tag', content: '{"tags":{"u.work":{"order":0.5}}}' },
  ])
})

test('links have the id of the configured provider, with or without the prefix of Synapse', async () => {
  await run(named(SIGN_IN_STEPS, 'links to identity providers'))
  const { rows } = await sql<{ id: string }>`select provider_id as id from upstream_links order by provider_id`.execute(
    database.sql,
  )
  expect(rows.map(({ id }) => id)).toEqual(['cas', 'oidc-absent', 'oidc-exact', 'saml', 'short'])
  expect(await checkProviders(main, context.providers)).toEqual([
    { severity: 'warning', text: expect.stringMatching(/^1 accounts sign in through oidc-absent\. Add it/) },
  ])
})

test('thread subscriptions and delayed events of known users continue', async () => {
  await run(named(ROOM_STEPS, 'thread subscriptions'))
  const { rows } = await sql`select user_id, thread_id, subscribed from thread_subscriptions`.execute(database.sql)
  expect(rows).toEqual([{ user_id: USER, thread_id: '$2:other.test', subscribed: true }])
  await run(named(ROOM_STEPS, 'delayed events'))
  const delayed = await sql`select delay_id, user_id, device_id, since_ts, ready_ts from delayed_events`.execute(
    database.sql,
  )
  expect(delayed.rows).toEqual([{ delay_id: 'user', user_id: USER, device_id: '', since_ts: 2, ready_ts: 7 }])
})

test('verification counts the stored rows', async () => {
  const steps = [named(SIGN_IN_STEPS, 'registration tokens'), named(ROOM_STEPS, 'delayed events')]
  for (const step of steps) {
    await run(step)
    const progress = { step: step.name, bookmark: '', is_done: true, rows_stored: 0 }
    await database.write(async (tx) => moveBookmark(tx, { ...progress, rows_read: await step.count!(context) }))
  }
  expect(await compareCounts(context, steps)).toEqual([])
  await sql`delete from registration_tokens`.execute(database.sql)
  expect(await compareCounts(context, steps)).toEqual(['table registration_tokens: 1 of 1 rows are missing'])
})

test('verification accepts computed extremities where Synapse has none', async () => {
  const none: SynapseDatabase = {
    ...main,
    query: async (text, values) => (text.includes('event_forward_extremities') ? [] : main.query(text, values)),
  }
  expect((await verifyRooms({ ...context, main: none })).differences).toEqual([])
})

test.each([
  ['an event is gone', sql`delete from events where event_id = '$2:other.test'`, /is missing/],
  ['events are missing', sql`delete from events where event_id = '$2:other.test'`, /1 of 1 events are missing/],
  ['the state has another event', sql`update events set event_id = '$3:other.test'`, /current state has 1 events/],
  ['an event is in another room', sql`update events set room_id = '!x:other.test'`, /is in another room/],
  ['an event has another content', sql`update events set json = replace(json, '@a:', '@b:')`, /\$2:other.test differs/],
  ['the state is another', sql`update room_heads set state_root = 0`, /current state has 0 events/],
  [
    'an extremity is another',
    sql`update room_heads set forward_extremities = '{$9:other.test}'`,
    /forward extremities are/,
  ],
])('verification finds that %s', async (_what, damage, message) => {
  forgetEvent(database, '$2:other.test')
  expect(await verifyRooms(context)).toEqual({ rooms: 1, events: 1, differences: [] })
  const undone = new Error('undone')
  const damaged = database.write(async (tx) => {
    await damage.execute(tx.sql)
    forgetEvent(tx, '$2:other.test')
    const { differences } = await verifyRooms({ ...context, database: tx as unknown as Database })
    expect(differences).toContainEqual(expect.stringMatching(message))
    throw undone
  })
  await expect(damaged).rejects.toBe(undone)
})
