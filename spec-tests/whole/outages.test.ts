import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { ask, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { createRoom, historyOf, roomPath, v3 } from '../harness/rooms.ts'

/**
 * Outages of the machine: clients get a 503 with the reason, nothing is half-written, and everything works afterwards.
 */

async function upload(user: TestUser, bytes: number): Promise<{ status: number; error: string | undefined }> {
  const response = await fetch(`${user.url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.accessToken}`, 'Content-Type': 'text/plain' },
    body: String(bytes).padEnd(bytes, '.'),
  })
  const { error } = (await response.json()) as { error?: string }
  return { status: response.status, error }
}

const send = (user: TestUser, roomId: string, txnId: string, bytes: number) =>
  user.ask('PUT', roomPath(roomId, `send/m.room.message/${txnId}`), { msgtype: 'm.text', body: 'x'.repeat(bytes) })

describe('a full disk', () => {
  let folder: string
  let hearth: TestHearth
  const filler = () => join(folder, 'filler')

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hearth-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'tmpfs', folder])
    hearth = await startHearth({ config: { data_dir: join(folder, 'data') } })
  })
  afterAll(async () => {
    await hearth?.dispose()
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })

  function fill(): void {
    const chunk = Buffer.alloc(64 * 1024)
    expect(() => {
      for (;;) appendFileSync(filler(), chunk)
    }).toThrow('ENOSPC')
  }

  test('refuses what has to be stored, still answers what is read, and recovers', async () => {
    const alice = await registerUser(hearth.url)
    const roomId = await createRoom(alice)
    const before = await sendText(alice, roomId, 'before')
    fill()
    const full = { status: 503, error: expect.stringContaining('no space left on its disk') }
    expect(await upload(alice, 300_000)).toEqual(full)
    const refused = await pollUntil('a message finds no space', async () => {
      const answer = await send(alice, roomId, `full-${Date.now()}`, 60_000)
      return answer.status !== 200 && answer
    })
    expect({ status: refused.status, error: refused.body.error }).toEqual(full)
    expect((await alice.get(roomPath(roomId, `event/${encodeURIComponent(before)}`))).event_id).toBe(before)
    expect((await alice.ask('GET', `${v3}/sync?timeout=0`)).status).toBe(200)
    const held = (await historyOf(alice, roomId)).map(({ event_id }) => event_id)
    rmSync(filler())
    const after = await pollUntil('messages are taken again', () => sendText(alice, roomId, 'after'))
    expect((await historyOf(alice, roomId)).map(({ event_id }) => event_id)).toEqual([...held, after])
    expect((await upload(alice, 300_000)).status).toBe(200)
  })
})

describe('a database that stops', () => {
  let postgres: TestPostgres
  let hearth: TestHearth
  beforeAll(async () => {
    postgres = await startPostgres()
    hearth = await startHearth({ databaseUrl: await postgres.createDatabase() })
  })
  afterAll(async () => {
    // A graceful stop would wait for the database.
    await hearth?.kill('SIGKILL')
    await hearth?.dispose()
  })

  test('is reported to clients as an outage', async () => {
    const alice = await registerUser(hearth.url)
    const roomId = await createRoom(alice)
    await postgres.stop()
    const path = roomPath(roomId, 'send/m.room.message/away')
    const answer = await ask(hearth.url, { method: 'PUT', path, body: { body: 'x' }, token: alice.accessToken })
    expect(answer).toMatchObject({ status: 503, body: { errcode: 'M_UNKNOWN' } })
    expect(answer.body.error).toContain('cannot reach its database')
    expect((await ask(hearth.url, { method: 'GET', path: '/health' })).status).toBe(503)
  })
})

describe.each([
  ['a statement', { statement_timeout: '500ms' }, 'statement'],
  ['a wait for a lock', { lock_timeout: '500ms' }, 'lock'],
])('%s that takes too long in the database', (_, limit, what) => {
  let postgres: TestPostgres
  let hearth: TestHearth
  let other: pg.Client
  beforeAll(async () => {
    postgres = await startPostgres()
    const databaseUrl = await postgres.createDatabase()
    hearth = await startHearth({ databaseUrl, config: { database: limit } })
    other = new pg.Client({ connectionString: databaseUrl })
    await other.connect()
  })
  afterAll(async () => {
    await other?.end()
    await hearth?.dispose()
    await postgres?.stop()
  })

  test('answers clients with 503, is counted, and blocks nothing for ever', async () => {
    const alice = await registerUser(hearth.url)
    const roomId = await createRoom(alice)
    await other.query('begin; lock table events')
    const send = (txnId: string) => alice.ask('PUT', roomPath(roomId, `send/m.room.message/${txnId}`), { body: 'x' })
    const answers = await Promise.all(Array.from({ length: 12 }, (_, place) => send(`held-${place}`)))
    for (const { status, body } of answers) {
      expect([status, body.errcode]).toEqual([503, 'M_UNKNOWN'])
      expect(body.error).toContain('took too long')
    }
    await other.query('rollback')
    expect((await send('held-1')).status).toBe(200)
    const metrics = await (await fetch(`${hearth.url}/metrics`)).text()
    expect(metrics).toMatch(new RegExp(`hearth_database_timeouts_total\\{what="${what}"\\} [1-9]`))
  })
})
