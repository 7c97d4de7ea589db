import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerUser, sendText } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

/** A gateway in a process of its own, which two processes of one Hearth notify. */
const v3 = '/_matrix/client/v3'
const inRoom = (roomId: string, rest: string) => `${v3}/rooms/${encodeURIComponent(roomId)}/${rest}`
const SCRIPT = join(import.meta.dirname, '..', 'clients', 'push-gateway.ts')

let postgres: TestPostgres
let hearths: TestHearth[]
let gateway: ChildProcess
let port: number
const folder = mkdtempSync(join(tmpdir(), 'hearth-gateway-'))
const file = join(folder, 'notifications')

async function startGateway(): Promise<void> {
  gateway = spawn(process.execPath, [SCRIPT, String(port), file], { stdio: 'inherit' })
  await pollUntil('the gateway listens', async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 400)
}

async function killGateway(): Promise<void> {
  const ended = new Promise((resolve) => gateway.once('exit', resolve))
  gateway.kill('SIGKILL')
  await ended
}

beforeAll(async () => {
  ;[postgres, port] = await Promise.all([startPostgres(), freePort()])
  const databaseUrl = await postgres.createDatabase()
  const config = { log: { level: 'info' } }
  hearths = [await startHearth({ databaseUrl, config }), await startHearth({ databaseUrl, config })]
  await startGateway()
})
afterAll(async () => {
  await killGateway()
  await Promise.all((hearths ?? []).map((hearth) => hearth.dispose()))
  await postgres?.stop()
  rmSync(folder, { recursive: true })
})

/** Returns the requests to the gateway, except this test's own probe. */
// biome-ignore lint/suspicious/noExplicitAny: notifications of every shape
function received(): any[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
  return lines.map((line) => JSON.parse(line)).filter(({ fault }) => !fault?.startsWith('GET /:'))
}

/** https://spec.matrix.org/v1.19/push-gateway-api/ */
test('a mention arrives once, and what was sent while the gateway was dead after its return, with the right counts', async () => {
  const [first, second] = hearths as [TestHearth, TestHearth]
  const [alice, bob] = await Promise.all([registerUser(first.url), registerUser(second.url)])
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat', name: 'Tea' })
  await bob.post(inRoom(roomId, 'join'))
  await bob.post(`${v3}/pushers/set`, {
    app_id: 'org.example.app',
    pushkey: 'key',
    kind: 'http',
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: `http://127.0.0.1:${port}/_matrix/push/v1/notify` },
  })
  const mention = { msgtype: 'm.text', body: 'Bob?', 'm.mentions': { user_ids: [bob.userId] } }
  const { event_id: mentioned } = await alice.put(inRoom(roomId, 'send/m.room.message/1'), mention)
  await pollUntil('it arrives', () => received().length > 0)
  expect(received()[0]).toMatchObject({ event_id: mentioned, prio: 'high', counts: { unread: 1 }, content: mention })
  expect(received()[0].devices[0].tweaks).toMatchObject({ highlight: true })

  await killGateway()
  const missed = [await sendText(alice, roomId, 'Are you there?')]
  await pollUntil('the gateway is missed', () =>
    hearths.some((hearth) => hearth.output().includes('push gateway request failed')),
  )
  missed.push(await sendText(alice, roomId, 'Hello?'))
  await startGateway()
  await pollUntil('all arrive', () => received().length >= 3)
  const last = received().at(-1)
  expect(last.counts).toEqual({ unread: 3 })

  await bob.post(inRoom(roomId, `receipt/m.read/${encodeURIComponent(missed[1]!)}`))
  await pollUntil('it hears that all is read', () => received().at(-1).event_id === undefined)
  expect(received().at(-1).counts).toEqual({})
  // Each once, in order, and only with specified keys.
  expect(received().map(({ event_id, fault }) => fault ?? event_id)).toEqual([mentioned, ...missed, undefined])
})
