import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { startClientApi, type TestClient } from '../../testing/client-api.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { uploadMedia } from '../media/upload-media.ts'
import { BackupError } from './backup-format.ts'
import { type Exported, exportServer } from './export-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'hearth-export-server-'))
// biome-ignore lint/suspicious/noExplicitAny: lines of every shape
type Line = Record<string, any>

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let roomId: string
const sent: string[] = []
beforeAll(async () => {
  api = await startClientApi()
  alice = await api.client('alice', { deviceId: 'PHONE' })
  bob = await api.client('bob')
  roomId = await alice.createRoom({ preset: 'private_chat', name: 'party', room_alias_name: 'party' })
  for (const body of ['first', 'line\u2028separator \0 𝄞', 'third']) {
    const path = `/rooms/${roomId}/send/m.room.message/${sent.length}`
    sent.push((await alice.ok('PUT', path, { msgtype: 'm.text', body })).event_id)
  }
  await alice.ok('POST', `/rooms/${roomId}/invite`, { user_id: bob.userId })
  const described = { contentType: 'text/plain', filename: 'notes.txt', uploader: alice.userId }
  async function* source() {
    yield Buffer.from('content')
  }
  await uploadMedia(api.app as never, { ...described, source: source() })
  const { sql: db } = api.app.database
  await sql`update users set password_hash = 'phc of ' || user_id`.execute(db)
  await sql`insert into account_data (user_id, type, content) values (${alice.userId}, 'm.direct', ${'{\n"a":\r\n1}'})`.execute(
    db,
  )
  await sql`insert into receipts (room_id, user_id, receipt_type, event_id, event_order, ts)
    values (${roomId}, ${alice.userId}, 'm.read', ${sent[0]}, 1, 1)`.execute(db)
  await sql`insert into key_backups (user_id, version, algorithm, auth_data)
    values (${alice.userId}, 7, 'curve', '{}')`.execute(db)
  const overlay = { defaults: { '.m.rule.master': { enabled: true } }, custom: customRules() }
  await sql`insert into push_rules (user_id, overlay) values (${alice.userId}, ${JSON.stringify(overlay)})`.execute(db)
})
afterAll(async () => {
  await api.close()
  rmSync(folder, { recursive: true, force: true })
})

const customRules = () => ({ override: [], content: [], room: [], sender: [], underride: [] })

async function exported(withPasswordHashes: boolean): Promise<{ text: string; lines: Line[]; result: Exported }> {
  const { database, media, clock } = api.app
  let text = ''
  const result = await exportServer({
    ...{ serverName: 'hearth.test', database, clock, withPasswordHashes, report: () => {} },
    media: withPasswordHashes ? undefined : { folder, objects: media.objects },
    async write(lines) {
      for await (const some of lines) text += some
    },
  })
  expect(text.endsWith('\n')).toBe(true)
  const lines = text.slice(0, -1).split('\n')
  return { text, lines: lines.map((line) => JSON.parse(line)), result }
}

test('has a line for everything, the events of a room in order, and no secrets', async () => {
  const { text, lines, result } = await exported(false)
  const of = (kind: string) => lines.filter((line) => line.kind === kind)
  expect(lines[0]).toMatchObject({ kind: 'server', format: 1, server_name: 'hearth.test' })
  expect(of('user')).toEqual(
    expect.arrayContaining([expect.objectContaining({ user_id: alice.userId, has_password: true, is_admin: false })]),
  )
  expect(of('device')).toContainEqual(expect.objectContaining({ user_id: alice.userId, device_id: 'PHONE' }))
  expect(of('account_data')).toContainEqual(expect.objectContaining({ room_id: null, content: { a: 1 } }))
  expect(of('key_backup')).toEqual([expect.objectContaining({ version: '7', auth_data: {} })])
  const [master] = of('push_rules')[0]!.global.override
  expect(master).toMatchObject({ rule_id: '.m.rule.master', enabled: true })
  const [room] = of('room')
  expect(room).toMatchObject({ room_id: roomId, name: 'party', creator: alice.userId })
  expect(of('alias')).toMatchObject([{ room_alias: '#party:hearth.test', room_id: roomId }])
  const events = of('event')
  expect(events.map(({ event_order }) => event_order)).toEqual(events.map((_, at) => at + 1))
  expect(events[0]!.event).toMatchObject({ type: 'm.room.create', prev_events: [], hashes: expect.anything() })
  const messages = events.filter(({ event }) => event.type === 'm.room.message')
  expect(messages.map(({ event_id }) => event_id)).toEqual(sent)
  expect(messages[1]!.event.content.body).toBe('line\u2028separator \0 𝄞')
  const stateIds = new Set(of('state').map(({ event_id }) => event_id))
  expect([...stateIds].sort()).toEqual(
    events.flatMap(({ event_id, event }) => ('state_key' in event ? event_id : [])).sort(),
  )
  expect(of('membership')).toContainEqual(
    expect.objectContaining({ room_id: roomId, user_id: bob.userId, membership: 'invite' }),
  )
  expect(of('receipt')).toMatchObject([{ user_id: alice.userId, receipt_type: 'm.read', event_id: sent[0] }])
  const [file] = of('media')
  expect(file).toMatchObject({ uploader: alice.userId, filename: 'notes.txt', quarantined_by: null })
  expect(readdirSync(folder)).toEqual([file!.sha256])
  expect(readFileSync(join(folder, file!.sha256), 'utf8')).toBe('content')
  expect(result.files).toEqual({ copied: 1, bytes: 7, missing: 0 })
  expect(lines.at(-1)).toEqual({ kind: 'end', lines: result.lines })
  const counted = Object.values(result.lines).reduce((sum, count) => sum + count, 0)
  expect(counted).toBe(lines.length - 2)
  expect(text).not.toMatch(/phc of|token/)
})

test('has the hashes of passwords if they are asked for', async () => {
  const { lines } = await exported(true)
  const hashes = lines.filter(({ kind }) => kind === 'password_hash')
  expect(hashes.map(({ password_hash }) => password_hash)).toContain(`phc of ${alice.userId}`)
})

test('a database that is not of this version is refused before anything is written', async () => {
  const database = await createTestDatabase()
  onTestFinished(() => database.close())
  await sql`delete from kysely_migration where name = (select max(name) from kysely_migration)`.execute(database.sql)
  const write = vi.fn(async () => {})
  const exporting = exportServer({
    ...{ serverName: 'hearth.test', database, clock: api.app.clock, withPasswordHashes: false, media: undefined },
    ...{ write, report: () => {} },
  })
  await expect(exporting).rejects.toThrow(BackupError)
  expect(write).not.toHaveBeenCalled()
})
