import { execFileSync, spawnSync } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { sendText, type TestUser } from '../harness/client.ts'
import { PROGRAM, START_MS, startHearth, type TestHearth } from '../harness/hearth.ts'
import { type ClientEvent, roomOfTwo, v3 } from '../harness/rooms.ts'

vi.setConfig({ testTimeout: START_MS })

/** Leaves the processors to the starting processes. */
const SEND_PAUSE_MS = 20
const WHOLE_TIMELINE = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 1000 } } }))

let postgres: TestPostgres
let hearth: TestHearth
let metricsPort: number
beforeAll(async () => {
  postgres = await startPostgres()
  const [port, metrics] = [await freePort(), await freePort()]
  metricsPort = metrics
  hearth = await startHearth({
    databaseUrl: await postgres.createDatabase(),
    processes: 2,
    clientPort: port,
    config: { listeners: [{ port }, { port: metricsPort, serves: ['metrics'] }] },
  })
  await pollUntil('both processes serve', async () => (await processesWithMetrics()).length === 2, START_MS)
}, START_MS)
afterAll(async () => {
  await hearth.dispose()
  await postgres.stop()
})

/** Returns the process IDs of the server, without the supervisor. */
function processIds(): number[] {
  const lines = execFileSync('ps', ['-o', 'pid=', '--ppid', String(hearth.pid)], { encoding: 'utf8' })
  return lines.trim().split(/\s+/).map(Number)
}

/** Returns the CPU times of the processes, by their own ports for metrics. */
async function processesWithMetrics(): Promise<string[]> {
  const ports = [metricsPort, metricsPort + 1]
  const texts = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()))
  return texts.map((text) => /^process_cpu_seconds_total (.+)$/m.exec(text)![1]!)
}

/** Sends messages one after the other, and follows them by sync, until `stopped`; returns what was sent and what was seen. */
function converse({ alice, bob, roomId }: { alice: TestUser; bob: TestUser; roomId: string }, since: string) {
  const sent: string[] = []
  const seen: string[] = []
  let isOver = false
  const sending = async () => {
    while (!isOver) {
      sent.push(await sendText(alice, roomId, `message ${sent.length}`))
      await setTimeout(SEND_PAUSE_MS)
    }
  }
  const reading = async () => {
    let next = since
    while (!isOver || seen.length < sent.length) {
      const { rooms, next_batch } = await bob.get(`${v3}/sync?since=${next}&timeout=1000&filter=${WHOLE_TIMELINE}`)
      const events: ClientEvent[] = rooms?.join?.[roomId]?.timeline?.events ?? []
      seen.push(...events.map(({ event_id }) => event_id))
      next = next_batch
    }
  }
  const all = Promise.all([sending(), reading()])
  return {
    sent,
    async end() {
      isOver = true
      await all
      return { sent, seen }
    },
  }
}

test('a rolling restart fails no request and loses no event', async () => {
  const room = await roomOfTwo(hearth.url)
  const { next_batch } = await room.bob.get(`${v3}/sync`)
  const before = processIds()
  const conversation = converse(room, next_batch)
  process.kill(hearth.pid, 'SIGHUP')
  await pollUntil('the restart is done', () => hearth.output().includes('Rolling restart done.'), START_MS)
  const { sent, seen } = await conversation.end()
  expect(seen).toEqual(sent)
  expect(sent.length).toBeGreaterThan(10)
  const after = processIds()
  expect(after).toHaveLength(2)
  expect(after.filter((pid) => before.includes(pid))).toEqual([])
  expect(await processesWithMetrics()).toHaveLength(2)
})

test('a process that is killed is replaced', async () => {
  const [killed, other] = processIds() as [number, number]
  process.kill(killed, 'SIGKILL')
  await pollUntil('its end is reported', () => hearth.output().includes(`Process ${killed} ended by SIGKILL.`))
  await pollUntil('another one runs', () => processIds().length === 2)
  expect(processIds()).toContain(other)
  await pollUntil('it serves', async () => (await processesWithMetrics()).length === 2, START_MS)
})

test('a wrong configuration ends the supervisor with its message', () => {
  const env = { ...process.env, HEARTH_SERVER_NAME: 'https://wrong' }
  const words = ['start', '--config', hearth.configFile, '--processes', '2']
  const { status, stderr } = spawnSync(PROGRAM, words, { env, encoding: 'utf8' })
  expect(status).toBe(2)
  expect(stderr).toMatch(/^Hearth cannot use this configuration:\n.*HEARTH_SERVER_NAME.*\n$/)
})

test('SIGTERM ends all processes', async () => {
  const pids = processIds()
  await hearth.kill('SIGTERM')
  expect(pids.filter(isAlive)).toEqual([])
  expect(hearth.output().match(/Ctrl-C stops it/g)).toHaveLength(1)
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
