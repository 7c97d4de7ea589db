import { setTimeout as pause } from 'node:timers/promises'
import { Agent, setGlobalDispatcher } from 'undici'
import { registerUser, sendText, type TestUser } from '../spec-tests/harness/client.ts'
import { startFederation, type TestFederation } from '../spec-tests/harness/federation.ts'
import { startSynapse } from '../spec-tests/harness/synapse.ts'
import { startPostgres } from '../testing/postgres.ts'
import { cpuMilliseconds, peakMiB, residentMiB } from './cpu-time.ts'
import { type LargeRoom, makeLargeRoom } from './large-room.ts'
import { type RoomServers, startRoomServers } from './room-servers.ts'

/**
 * Measures a join of a large remote room: the time until the user can send, until all members are known, and the peak
 * of memory, for Hearth on both databases and for Synapse, each from a resident Hearth of its own, since earlier
 * joiners have work at each further join:
 * `npm run bench:large-join -- [hearth-postgresql] [hearth-pglite] [synapse]`.
 * MEMBERS, EVENTS and SERVERS set the size, by default 10000 members and 30000 state and auth events of 100 servers;
 * EARLIER: how many small rooms the joining server has joined before (50): 0 is a server at its first start. RUNS: the
 * number of alternating runs whose medians are printed (1).
 */
const { MEMBERS = 10_000, EVENTS = 30_000, SERVERS = 100, EARLIER = 50, RUNS = 1 } = process.env
const size = { members: Number(MEMBERS), events: Number(EVENTS) }
const LOOK_MS = 100

type Joiner = { url: string; pids: readonly number[]; end(): Promise<void> }
type Figures = {
  send: number
  sendCpu: number
  whole: number
  wholeCpu: number
  resting: number
  peak: number
  servingCpu: number
}
type Resident = { serverName: string; url: string; pids: readonly number[]; members: number }

/** For profiles: arguments for the joining server's node. */
const nodeArguments = process.env.NODE_ARGUMENTS?.split(' ') ?? []

const joiners: Record<string, (federation: TestFederation) => Promise<Joiner>> = {
  async 'hearth-postgresql'(federation) {
    const postgres = await startPostgres()
    const hearth = await federation.hearth({ databaseUrl: await postgres.createDatabase(), nodeArguments })
    const end = async () => {
      await hearth.dispose()
      await postgres.stop()
    }
    return { url: hearth.url, pids: [hearth.pid, postgres.pid], end }
  },
  async 'hearth-pglite'(federation) {
    const hearth = await federation.hearth({ nodeArguments })
    return { url: hearth.url, pids: [hearth.pid], end: () => hearth.dispose() }
  },
  async synapse(federation) {
    // On a busy machine a minute may be too short for such a large response; then it never completes.
    const synapse = await startSynapse(federation, { federation: { client_timeout: '60m' } })
    return { url: synapse.url, pids: [synapse.pid], end: () => synapse.kill() }
  },
}

async function joinedMembers(user: TestUser, roomId: string): Promise<number> {
  // Without checks against schemas, which would cost more than the responses.
  const answer = await fetch(`${user.url}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/joined_members`, {
    headers: { Authorization: `Bearer ${user.accessToken}` },
  })
  const { joined } = (await answer.json()) as { joined?: object }
  return Object.keys(joined ?? {}).length
}

/** Waits until the processes are idle for a while: a server may have more work after its start or after a join. */
async function rest(pids: readonly number[]): Promise<void> {
  // On a busy machine even a poll per second takes longer.
  for (let before = cpuMilliseconds(pids), times = 0; times < 30; times++) {
    await pause(1000)
    const now = cpuMilliseconds(pids)
    if (now - before < 50) return
    before = now
  }
}

/**
 * Warms up a server as if it had run for a while: its code is compiled, and it knows the resident server and its keys.
 */
async function joinSmallRooms(user: TestUser, resident: Resident): Promise<void> {
  const host = await registerUser(resident.url)
  for (let joins = 0; joins < Number(EARLIER); joins++) {
    const { room_id: roomId } = (await host.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })) as {
      room_id: string
    }
    await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?server_name=${resident.serverName}`)
    await sendText(user, roomId, 'I am here')
  }
}

async function measureJoin(joiner: Joiner, resident: Resident, roomId: string): Promise<Figures> {
  const user = await registerUser(joiner.url)
  await joinSmallRooms(user, resident)
  await rest([...joiner.pids, ...resident.pids])
  const [cpu, serving, started] = [cpuMilliseconds(joiner.pids), cpuMilliseconds(resident.pids), performance.now()]
  const resting = residentMiB(joiner.pids[0]!)
  const sofar = () => [performance.now() - started, cpuMilliseconds(joiner.pids) - cpu] as const
  await user.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}?server_name=${resident.serverName}`)
  await sendText(user, roomId, 'I am here')
  const [send, sendCpu] = sofar()
  console.error(`can send after ${Math.round(send)} ms`)
  while ((await joinedMembers(user, roomId)) <= resident.members) await pause(LOOK_MS)
  const [whole, wholeCpu] = sofar()
  const servingCpu = cpuMilliseconds(resident.pids) - serving
  return { send, sendCpu, whole, wholeCpu, servingCpu, resting, peak: peakMiB(joiner.pids[0]!) }
}

async function withResident<Result>(
  federation: TestFederation,
  { peers, room }: { peers: RoomServers; room: LargeRoom },
  use: (resident: Resident) => Promise<Result>,
): Promise<Result> {
  const postgres = await startPostgres()
  const hearth = await federation.hearth({ databaseUrl: await postgres.createDatabase() })
  try {
    const user = await registerUser(hearth.url)
    const from = peers.servers[0]!.serverName
    await user.post(`/_matrix/client/v3/join/${encodeURIComponent(room.roomId)}?server_name=${from}`)
    const members = await joinedMembers(user, room.roomId)
    return await use({ ...hearth, members, pids: [hearth.pid, postgres.pid] })
  } finally {
    await hearth.dispose()
    await postgres.stop()
  }
}

function printTable(columns: ReadonlyMap<string, Figures[]>): void {
  const rows: [string, string, (figures: Figures) => number][] = [
    ['until the user can send', 's', ({ send }) => send / 1000],
    ['CPU time until then', 's', ({ sendCpu }) => sendCpu / 1000],
    ['until complete', 's', ({ whole }) => whole / 1000],
    ['CPU time until then', 's', ({ wholeCpu }) => wholeCpu / 1000],
    ['CPU time of the resident server', 's', ({ servingCpu }) => servingCpu / 1000],
    ['memory before the join', 'MiB', ({ resting }) => resting],
    ['peak of memory', 'MiB', ({ peak }) => peak],
  ]
  console.log(`| | ${[...columns.keys()].join(' | ')} |\n|---|${'---:|'.repeat(columns.size)}`)
  for (const [name, unit, pick] of rows) {
    const medians = [...columns.values()].map((runs) => median(runs.map(pick)).toPrecision(3))
    console.log(`| ${name} (${unit}) | ${medians.join(' | ')} |`)
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2
}

// Joining may take any time.
setGlobalDispatcher(new Agent({ headersTimeout: 0, bodyTimeout: 0 }))
const asked = process.argv.slice(2)
const federation = await startFederation()
try {
  const peers = await startRoomServers(federation, Number(SERVERS))
  const room = makeLargeRoom(peers.servers, size)
  peers.serve(room)
  const columns = new Map<string, Figures[]>()
  for (let run = 0; run < Number(RUNS); run++) {
    for (const [name, start] of Object.entries(joiners)) {
      if (asked.length > 0 && !asked.includes(name)) continue
      const figures = await withResident(federation, { peers, room }, async (resident) => {
        const joiner = await start(federation)
        try {
          return await measureJoin(joiner, resident, room.roomId)
        } finally {
          await joiner.end()
        }
      })
      console.error(name, figures)
      columns.set(name, [...(columns.get(name) ?? []), figures])
    }
  }
  printTable(columns)
} finally {
  await federation.dispose()
}
process.exit(0)
