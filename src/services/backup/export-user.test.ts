import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { openZip } from '../../infra/zip-reader.ts'
import { startClientApi } from '../../testing/client-api.ts'
import { uploadMedia } from '../media/upload-media.ts'
import { exportUser } from './export-user.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-export-'))
let api: Awaited<ReturnType<typeof startClientApi>>
beforeAll(async () => {
  api = await startClientApi()
})
afterAll(async () => {
  await api.close()
  rmSync(folder, { recursive: true, force: true })
})

async function exported(userId: UserId): Promise<Map<string, string>> {
  const file = join(folder, 'export.zip')
  const signal = new AbortController().signal
  await pipeline(await exportUser(api.app as never, { userId, signal }), createWriteStream(file))
  const zip = await openZip(file)
  const entries = new Map<string, string>()
  for (const name of zip.names) entries.set(name, await text((await zip.read(name))!))
  zip.close()
  return entries
}

async function* bytes(content: string) {
  yield Buffer.from(content)
}

test('has what the user sent, can see and uploaded, and no secrets', async () => {
  const [alice, bob] = [await api.client('alice', { deviceId: 'PHONE' }), await api.client('bob')]
  const send = (client: typeof alice, roomId: string, body: string) =>
    client.ok('PUT', `/rooms/${roomId}/send/m.room.message/${body}`, { msgtype: 'm.text', body })
  const shared = await bob.createRoom({ preset: 'private_chat', invite: [alice.userId] })
  await alice.ok('POST', `/rooms/${shared}/join`, {})
  for (const body of ['one', 'two']) await send(bob, shared, body)
  await send(alice, shared, 'mine')
  await alice.ok('POST', `/rooms/${shared}/leave`, {})
  await send(bob, shared, 'unseen')
  await bob.createRoom({ name: 'secret' })
  const invited = await bob.createRoom({ preset: 'private_chat', name: 'party', invite: [alice.userId] })
  const described = { contentType: 'text/plain', filename: '../notes.txt', uploader: alice.userId }
  const { mediaId } = await uploadMedia(api.app as never, { ...described, source: bytes('content') })

  const entries = await exported(alice.userId)
  const rooms = entries
    .get('rooms.ndjson')!
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const numberOf = (roomId: string) => rooms.find(({ room_id }) => room_id === roomId)?.room
  expect(rooms.map(({ room_id, membership }) => [room_id, membership]).sort()).toEqual(
    [
      [shared, 'leave'],
      [invited, 'invite'],
    ].sort(),
  )
  const events = entries
    .get(`rooms/${numberOf(shared)}/events.ndjson`)!
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.flatMap(({ content }) => content.body ?? [])).toEqual(['one', 'two', 'mine'])
  expect(entries.get(`rooms/${numberOf(invited)}/stripped_state.ndjson`)).toContain('party')
  expect(JSON.parse(entries.get('user.json')!)).toMatchObject({
    user_id: alice.userId,
    devices: [{ device_id: 'PHONE' }],
  })
  const [file] = [...entries.keys()].filter((name) => name.startsWith('media/'))
  expect(file).toContain(mediaId)
  expect(file).not.toContain('..')
  expect(entries.get(file!)).toBe('content')
  const all = [...entries.values()].join('\n')
  expect(all).not.toMatch(/unseen|hearth_access|token_hash|password_hash|key_json/)
})

test('of an unknown or remote user is refused', async () => {
  const signal = new AbortController().signal
  for (const userId of ['@nobody:hearth.test', '@alice:other.test'] as UserId[])
    await expect(exportUser(api.app as never, { userId, signal })).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' })
})

test('that cannot read a room has no end', async () => {
  const carol = await api.client('carol')
  await carol.createRoom({ name: 'hers' })
  const { sql: db } = api.app.database
  await sql`alter table room_heads rename to room_heads_away`.execute(db)
  await expect(exported(carol.userId)).rejects.toThrow('room_heads')
  await sql`alter table room_heads_away rename to room_heads`.execute(db)
  expect((await exported(carol.userId)).get('rooms/1/events.ndjson')).toContain('hers')
})

test('that is aborted has no end', async () => {
  const file = join(folder, 'aborted.zip')
  const ended = new AbortController()
  const archive = await exportUser(api.app as never, { userId: '@alice:hearth.test' as UserId, signal: ended.signal })
  ended.abort()
  await expect(pipeline(archive, createWriteStream(file))).rejects.toThrow()
  await expect(openZip(file)).rejects.toThrow()
})
