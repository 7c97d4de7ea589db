import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { startFederation, type TestFederation } from '../spec-tests/harness/federation.ts'
import { pollUntil } from '../testing/poll-until.ts'
import { startPostgres } from '../testing/postgres.ts'
import { makeLargeRoom } from './large-room.ts'
import { measure, percentile, type Target } from './measure.ts'
import { type RoomServers, startRoomServers } from './room-servers.ts'

/**
 * Measures the cost of sending a message to a room of many servers, on both databases: CPU time of Hearth and its
 * database until all have it, statements, and the latency of another user's local message in the meantime: `npm run
 * bench:outbox -- [postgresql] [pglite]`. SERVERS and MESSAGES set the size, by default 100 and 40; NODE_ARGUMENTS are
 * for Hearth's node.
 */
const { SERVERS = 100, MESSAGES = 40, NODE_ARGUMENTS } = process.env
const nodeArguments = NODE_ARGUMENTS?.split(' ') ?? []
const PATIENCE_MS = 60_000
const LOOK_MS = 2
/** For work after the last server has received a message. */
const REST_MS = 1000
/** Messages of another user while one goes to all servers. */
const TALKS = 5

type Sender = Target & { statements(): Promise<number>; end(): Promise<void> }
type Figures = Record<'cpu' | 'statements' | 'untilAll' | 'alone' | 'meanwhile' | 'longest', number>

const senders: Record<string, (federation: TestFederation) => Promise<Sender>> = {
  async postgresql(federation) {
    const postgres = await startPostgres(['shared_preload_libraries=pg_stat_statements'])
    const databaseUrl = await postgres.createDatabase()
    const hearth = await federation.hearth({ databaseUrl, nodeArguments })
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    await client.query('create extension pg_stat_statements')
    return {
      url: hearth.url,
      pids: [hearth.pid, postgres.pid],
      statements: async () =>
        Number((await client.query('select sum(calls) as calls from pg_stat_statements')).rows[0].calls),
      async end() {
        await client.end()
        await hearth.dispose()
        await postgres.stop()
      },
    }
  },
  async pglite(federation) {
    const hearth = await federation.hearth({ nodeArguments })
    return { url: hearth.url, pids: [hearth.pid], statements: async () => Number.NaN, end: () => hearth.dispose() }
  },
}

async function measureSending(sender: Sender, peers: RoomServers, roomId: string): Promise<Figures> {
  const [user, other] = [await registerUser(sender.url), await registerUser(sender.url)]
  const { room_id: quietRoom } = await other.post('/_matrix/client/v3/createRoom', {})
  const via = peers.servers[0]!.serverName
  await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?server_name=${via}`)
  await sendToAll(user, peers, roomId, 10)
  await pause(REST_MS)
  const alone = await talk(other, quietRoom, 100)
  const statements = await sender.statements()
  const { cpu, wall } = await measure(sender, () => sendToAll(user, peers, roomId, Number(MESSAGES)))
  const executed = (await sender.statements()) - statements
  const meanwhile: number[] = []
  for (let i = 0; i < Number(MESSAGES); i++) {
    const sending = sendToAll(user, peers, roomId, 1)
    meanwhile.push(...(await talk(other, quietRoom, TALKS)))
    await sending
    await pause(REST_MS / 10)
  }
  return {
    cpu: cpu / Number(MESSAGES),
    statements: executed / Number(MESSAGES),
    untilAll: wall / Number(MESSAGES),
    alone: percentile(alone, 0.5),
    meanwhile: percentile(meanwhile, 0.5),
    longest: percentile(meanwhile, 0.95),
  }
}

/** Sends messages one after the other, each when all servers have the previous one. */
async function sendToAll(user: TestUser, peers: RoomServers, roomId: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const before = peers.received()
    await sendText(user, roomId, `message ${i} to a hundred servers`)
    await arrive(peers, before + peers.servers.length)
  }
}

async function arrive(peers: RoomServers, total: number): Promise<void> {
  await pollUntil('all servers have it', async () => peers.received() >= total, PATIENCE_MS, LOOK_MS)
}

/**
 * Sends messages to a room without other users, one after the other, and returns the duration of each in milliseconds.
 */
async function talk(user: TestUser, roomId: string, count: number): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const started = performance.now()
    await sendText(user, roomId, `message ${i}`)
    times.push(performance.now() - started)
  }
  return times
}

function printTable(columns: Record<string, Figures>): void {
  const rows: [string, keyof Figures][] = [
    ['CPU time for each message, Hearth and database (ms)', 'cpu'],
    ['statements for each message', 'statements'],
    ['until all servers have it (ms)', 'untilAll'],
    ['a message to nobody else, p50 (ms)', 'alone'],
    ['the same while a message goes out, p50 (ms)', 'meanwhile'],
    ['the same, p95 (ms)', 'longest'],
  ]
  console.log(
    `| | ${Object.keys(columns).join(' | ')} |\n|---|${Object.keys(columns)
      .map(() => '---:')
      .join('|')}|`,
  )
  for (const [name, figure] of rows) {
    const values = Object.values(columns).map((figures) => figures[figure].toPrecision(3))
    console.log(`| ${name} | ${values.join(' | ')} |`)
  }
}

const asked = process.argv.slice(2)
const federation = await startFederation()
try {
  const peers = await startRoomServers(federation, Number(SERVERS))
  const room = makeLargeRoom(peers.servers, { members: Number(SERVERS), events: 3 * Number(SERVERS) })
  peers.serve(room)
  const columns: Record<string, Figures> = {}
  for (const [name, start] of Object.entries(senders)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    const sender = await start(federation)
    try {
      columns[name] = await measureSending(sender, peers, room.roomId)
      console.error(name, columns[name])
    } finally {
      await sender.end()
    }
  }
  printTable(columns)
} finally {
  await federation.dispose()
}
process.exit(0)
