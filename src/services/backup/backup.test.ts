import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, RoomId } from '../../core/ids.ts'
import type { Clock } from '../../infra/clock.ts'
import { createDiskStore } from '../../infra/object-store/disk.ts'
import type { Database } from '../../storage/engine/database.ts'
import { startClientApi, type TestClient } from '../../testing/client-api.ts'
import { createTestApp, START } from '../../testing/create-test-app.ts'
import { bodies, clientOf, type SyncBody } from '../../testing/sync-client.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { claimLocalKeys } from '../devices/claim-local-keys.ts'
import { uploadKeys } from '../devices/upload-keys.ts'
import { uploadMedia } from '../media/upload-media.ts'
import type { Summary } from './backup-format.ts'
import { openBackup } from './read-backup.ts'
import { type RestoreTarget, recoverRestored, restoreBackup } from './restore-backup.ts'
import { verifyBackup } from './verify-backup.ts'
import { writeBackup } from './write-backup.ts'

/** Texts that a line-based or JSON format may change. */
const TEXTS = ['line\u2028separator\u2029', 'tab\tand\r\nline', '"quoted\\"', 'null \u0000 character', '𝄞 é']
/** Tables that a restore changes on purpose. */
const CHANGED = [
  ...['one_time_keys', 'fallback_keys', 'key_backups', 'refresh_tokens', 'stream', 'restores', 'typing', 'push_queue'],
  ...['sliding_connections', 'sliding_rooms', 'login_tokens', 'media', 'media_files', 'media_thumbnails'],
  ...['pending_objects', 'server_secrets', 'delayed_events'],
]
const DEVICE = 'PHONE' as DeviceId
const file = join(mkdtempSync(join(tmpdir(), 'hearth-backup-')), 'backup.zip')
const clock: Clock = { now: () => START } as Clock

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let roomId: RoomId
let summary: Summary
let synced: SyncBody
let lost: string
let whole: Awaited<ReturnType<typeof target>>
let voided: Awaited<ReturnType<typeof restore>>
const opened: Database[] = []

beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice', { deviceId: DEVICE })
  const bob = await api.client('bob')
  roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.ok('POST', `/join/${roomId}`, {})
  for (const [at, body] of TEXTS.entries()) await send(alice, body, at)
  for (const content of ['one', 'two', 'deleted']) await upload(content)
  const key = { key: 'abc', signatures: {} }
  await uploadKeys(
    api.app,
    { userId: alice.userId, deviceId: DEVICE },
    {
      one_time_keys: { 'signed_curve25519:A': key, 'signed_curve25519:B': key },
      fallback_keys: { 'signed_curve25519:F': { ...key, fallback: true } },
    },
  )
  synced = await clientOf(api.app as never, alice.userId, { deviceId: DEVICE }).sync()
  summary = await backUp(file)
  await send(alice, 'after the backup', 99)
  lost = (await clientOf(api.app as never, alice.userId).sync({ since: synced.next_batch })).next_batch
  whole = await target()
  voided = await restore(whole)
})
afterAll(async () => {
  await api.close()
  for (const database of opened) await database.close()
  rmSync(dirname(file), { recursive: true, force: true })
})

const send = (client: TestClient, body: string, txn: number) =>
  client.ok('PUT', `/rooms/${roomId}/send/m.room.message/${txn}`, { msgtype: 'm.text', body })

async function upload(content: string): Promise<void> {
  async function* bytes() {
    yield Buffer.from(content)
  }
  const described = { contentType: 'text/plain', filename: undefined, uploader: alice.userId }
  await uploadMedia(api.app as never, { ...described, source: bytes() })
}

function source() {
  const files = new Map([['config/hearth.yaml', 'server_name: hearth.test\r\n']])
  return {
    serverName: 'hearth.test',
    database: api.app.database,
    clock,
    report: () => {},
    files,
    spoolFile: `${file}.list`,
  }
}

async function backUp(path: string): Promise<Summary> {
  const { objects } = api.app.media
  // One file is deleted between the snapshot and its copy.
  const get: typeof objects.get = async (key) => {
    const content = await buffer((await objects.get(key))!)
    return content.toString() === 'deleted' ? undefined : Readable.from([content])
  }
  const { output, done } = writeBackup({ ...source(), objects: { ...objects, get } })
  const [result] = await Promise.all([done, pipeline(output, createWriteStream(path))])
  return result
}

async function target(overrides: Partial<RestoreTarget> = {}): Promise<RestoreTarget & { folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-restore-'))
  const database = await createTestDatabase()
  opened.push(database)
  return {
    ...{ folder, serverName: 'hearth.test', database, clock, report: () => {} },
    stores: { current: 'disk', disk: createDiskStore(folder), s3: undefined },
    signingKeyFile: join(folder, 'signing.key'),
    ...overrides,
  }
}

async function restore(into: RestoreTarget, path = file) {
  const backup = await openBackup(path)
  try {
    return await restoreBackup(backup, into)
  } finally {
    backup.zip.close()
  }
}

test('the rows and the media are the same, apart from what a restore changes', async () => {
  const { database, stores } = whole
  const { rows } = await sql<{ body: string }>`select json::json -> 'content' ->> 'body' as body from events
    where type = 'm.room.message' and json not like '%\\u0000%' order by event_order`.execute(database.sql)
  expect(rows.map(({ body }) => body)).toEqual(TEXTS.filter((text) => !text.includes('\0')))
  const { rows: files } = await sql<{ object_key: string; size: number }>`select object_key, size from media_files
    order by sha256`.execute(database.sql)
  expect(files).toHaveLength(2)
  for (const { object_key, size } of files) expect(await stores.disk.sizeOf(object_key)).toBe(size)
  expect(summary.media).toMatchObject({ files: 2, missing: [expect.any(String)] })
  // A backup of the restored database has the same checksums.
  const again = writeBackup({ ...source(), database, objects: undefined })
  const [second] = await Promise.all([again.done, pipeline(again.output, createWriteStream(`${file}.again`))])
  expect(second.media).toEqual({ files: 2, bytes: 'onetwo'.length, missing: [] })
  const kept = (all: Summary) => Object.entries(all.tables).filter(([name]) => !CHANGED.includes(name))
  expect(kept(second)).toEqual(kept(summary))
  expect(kept(summary).filter(([, { rows: count }]) => count > 0).length).toBeGreaterThan(10)
  const nids = ({ sequences }: Summary) => sequences.find(({ name }) => name === 'nids')
  expect(nids(second)).toEqual(nids(summary))
})

test('one-time keys are void, and the fallback key counts as used', async () => {
  expect(voided).toMatchObject({ oneTimeKeys: 2 })
  const app = await createTestApp({ database: whole.database })
  const claim = { user_id: alice.userId, device_id: DEVICE, algorithm: 'signed_curve25519' }
  const claimed = await claimLocalKeys(app, [claim])
  expect(Object.keys(claimed[alice.userId]?.[DEVICE] ?? {})).toEqual(['signed_curve25519:F'])
  const body = await clientOf(app as never, alice.userId, { deviceId: DEVICE }).sync()
  expect(body).toMatchObject({
    device_one_time_keys_count: { signed_curve25519: 0 },
    device_unused_fallback_key_types: [],
  })
  await app.close()
})

test('a client with a token from after the backup gets everything again, with gaps; an older token goes on', async () => {
  const app = await createTestApp({ database: whole.database })
  const client = clientOf(app as never, alice.userId, { deviceId: DEVICE })
  const body = await client.sync({ since: lost })
  const timeline = body.rooms.join[roomId].timeline
  expect(timeline).toMatchObject({ limited: true, prev_batch: expect.any(String) })
  expect(bodies(timeline.events)).toEqual(TEXTS)
  expect(body.device_lists.changed).toContain('@bob:hearth.test')
  expect(Number(/^s1_(\d+)/.exec(body.next_batch)![1])).toBeGreaterThan(100_000_000_000)
  expect((await client.sync()).rooms).toBeUndefined()
  const older = clientOf(app as never, alice.userId, { deviceId: DEVICE })
  expect((await older.sync({ since: synced.next_batch })).rooms).toBeUndefined()
  await app.close()
})

test('a database that was restored otherwise is made safe by the same steps', async () => {
  await recoverRestored(whole)
  const { rows } = await sql`select 1 from restores`.execute(whole.database.sql)
  expect(rows).toHaveLength(2)
})

test('a backup that is restored again goes on after all that the first restore has given out', async () => {
  const later = 60_000
  const again = await target({ clock: { now: () => START + later } as Clock })
  await restore(again)
  const firstOf = async ({ database }: RestoreTarget) => {
    const { rows } = await sql<{ position: number; version: number }>`select
        (select min(resumed_at) from restores) as position,
        (select min(version) from key_backups where user_id = ${alice.userId} and deleted) as version`.execute(
      database.sql,
    )
    return rows[0]!
  }
  const [first, second] = [await firstOf(whole), await firstOf(again)]
  expect(second.position - first.position).toBe(later)
  expect(second.version - first.version).toBe(later / 1000)
  const app = await createTestApp({ database: again.database })
  expect(app.stream.isLost(first.position + 100)).toBe(true)
  await app.close()
})

test.each<[what: string, change: (content: Buffer) => Buffer, message: RegExp]>([
  ['that was cut off', (content) => content.subarray(0, content.length - 30), /not a whole backup/],
  ['of which a file was changed', (content) => replace(content, 'two', 'tow'), /damaged: media\//],
])('a backup %s is refused, and leaves the database empty', async (_what, change, message) => {
  const path = `${file}.changed`
  writeFileSync(path, change(readFileSync(file)))
  const into = await target()
  await expect(restore(into, path)).rejects.toThrow(message)
  await expect(openBackup(path).then((backup) => verifyBackup(backup))).rejects.toThrow(message)
  // Nothing is half-done: the whole one can be restored afterwards.
  await restore(into)
})

function replace(content: Buffer, from: string, to: string): Buffer {
  const changed = Buffer.from(content)
  // The content follows the name of its entry.
  const at = changed.lastIndexOf(from, changed.indexOf('summary.json'))
  changed.write(to, at)
  return changed
}

test('a restore that fails in the middle of the database changes nothing', async () => {
  const into = await target()
  const { write } = into.database
  const failing: Database = {
    ...into.database,
    write: (work) =>
      write(async (tx) => {
        await work(tx)
        throw new Error('the disk is full')
      }),
  }
  await expect(restore({ ...into, database: failing })).rejects.toThrow('the disk is full')
  const { rows } = await sql`select 1 from events`.execute(into.database.sql)
  expect(rows).toHaveLength(0)
  await restore(into)
})

test('a database in use, and a backup of another server, are refused', async () => {
  await expect(restore(await target({ database: api.app.database }))).rejects.toThrow(/in use: its table users/)
  await expect(restore(await target({ serverName: 'other.test' }))).rejects.toThrow(/of hearth.test, and the/)
})
