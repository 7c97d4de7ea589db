import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { cpuMilliseconds } from './cpu-time.ts'
import { inParallel, percentile, type Target } from './measure.ts'
import { onPglite, onPostgresql } from './on-databases.ts'
import type { Crowd, CrowdNews } from './waiting-clients.ts'

/**
 * Measures a message to a room whose members all wait, alternating between long polling and WebSocket: when half of
 * them have it, when all have it, and the server's CPU time until all wait again. `node bench/websocket.ts [clients]
 * [messages] [pglite|postgresql]`, by default 1000 and 12. HOMESERVER_URL and HOMESERVER_PIDS (comma-separated,
 * including its database's) measure a running Hearth.
 */
const [clients = 1000, messages = 12] = process.argv.slice(2, 4).map(Number)
const WAYS = ['long polling', 'WebSocket'] as const
const WARM_UP = 3

type Way = (typeof WAYS)[number]
type Figures = { half: number; all: number; cpu: number }
type Waiting = { process: ChildProcess; sender: TestUser; roomId: string }

async function gather(target: Target, way: Way): Promise<Waiting> {
  const sender = await registerUser(target.url)
  const { room_id: roomId } = await sender.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
  const tokens: string[] = []
  await inParallel(clients, 16, async () => {
    const user = await registerUser(target.url)
    await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
    tokens.push(user.accessToken)
  })
  const process = fork(join(import.meta.dirname, 'waiting-clients.ts'))
  const crowd: Crowd = { way, url: target.url, roomId, tokens }
  process.send(crowd)
  await once(process, 'message')
  return { process, sender, roomId }
}

/** Sends a message to the waiting clients; resolves when all wait again. */
async function sendTo({ process, sender, roomId }: Waiting, target: Target, text: string): Promise<Figures> {
  const cpu = cpuMilliseconds(target.pids)
  const received = new Promise<Extract<CrowdNews, { kind: 'received' }>>((resolve, reject) => {
    const hear = (news: CrowdNews) => {
      if (news.kind !== 'received' || news.text !== text) return
      process.off('message', hear)
      resolve(news)
    }
    process.on('message', hear)
    process.once('exit', () => reject(new Error('the clients have ended')))
  })
  const started = performance.timeOrigin + performance.now()
  await sendText(sender, roomId, text)
  const { times } = await received
  await untilAllWait(target)
  return {
    half: percentile(times, 0.5) - started,
    all: Math.max(...times) - started,
    cpu: (cpuMilliseconds(target.pids) - cpu) / clients,
  }
}

async function untilAllWait(target: Target): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${target.url}/metrics`)).text()
    if (Number(/^hearth_sync_waiters (\d+)/m.exec(text)?.[1]) >= clients * WAYS.length) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function measureOn(target: Target): Promise<Record<Way, Figures>> {
  const crowds = { 'long polling': await gather(target, 'long polling'), WebSocket: await gather(target, 'WebSocket') }
  await untilAllWait(target)
  const figures: Record<Way, Figures[]> = { 'long polling': [], WebSocket: [] }
  for (let round = -WARM_UP; round < messages; round++)
    for (const way of WAYS) {
      const measured = await sendTo(crowds[way], target, `message ${round}`)
      if (round >= 0) figures[way].push(measured)
    }
  for (const { process } of Object.values(crowds)) process.removeAllListeners('exit').disconnect()
  const medianOf = (of: Figures[]): Figures => ({
    half: percentile(
      of.map(({ half }) => half),
      0.5,
    ),
    all: percentile(
      of.map(({ all }) => all),
      0.5,
    ),
    cpu: percentile(
      of.map(({ cpu }) => cpu),
      0.5,
    ),
  })
  return { 'long polling': medianOf(figures['long polling']), WebSocket: medianOf(figures.WebSocket) }
}

const only = process.argv[4]
const given = process.env.HOMESERVER_URL
const pids = (process.env.HOMESERVER_PIDS ?? '').split(',').map(Number)
const results = {
  ...(given !== undefined && { given: await measureOn({ url: given, pids }) }),
  ...(given === undefined && only !== 'postgresql' && { PGlite: await onPglite(measureOn) }),
  ...(given === undefined && only !== 'pglite' && { PostgreSQL: await onPostgresql(measureOn) }),
}
console.log(`| a message to ${clients} who wait (medians) | half have it, ms | all have it, ms | CPU per client, ms |`)
console.log('|---|---:|---:|---:|')
for (const [database, ways] of Object.entries(results))
  for (const way of WAYS) {
    const { half, all, cpu } = ways[way]
    console.log(`| ${database}, ${way} | ${half.toFixed(0)} | ${all.toFixed(0)} | ${cpu.toFixed(2)} |`)
  }
process.exit(0)
