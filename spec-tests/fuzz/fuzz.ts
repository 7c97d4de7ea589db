import { readFileSync } from 'node:fs'
import { Agent } from 'undici'
import type { Place } from '../harness/homeserver-places.ts'
import { INSPECTED } from '../harness/inspector.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import { type Bystanders, startBystanders } from './bystanders.ts'
import { createDeliveries, type Deliveries } from './deliveries.ts'
import { drawFrom } from './draw.ts'
import { createFindings, type Findings } from './findings.ts'
import { type Friend, startFriend } from './friend.ts'
import { type FuzzWorld, startFuzzWorld } from './fuzz-world.ts'
import { createLane, type Lane } from './lane.ts'
import { describeMemory, hasGrown, measureMemory, measureSettled } from './memory-watch.ts'
import { fuzzedOperations } from './operations.ts'
import { createPeerLane, type PeerCounts } from './peer-lane.ts'
import { lieAtTimes } from './peer-lies.ts'
import { createSocketLane, SOCKET_OPERATION } from './socket-lane.ts'
import { createTally, type Tally } from './tally.ts'
import { watchLogs } from './watch-logs.ts'

export type FuzzOptions = {
  place: Place
  /** The number of requests. */
  requests: number
  seed: number
  /** Whether memory must return to its size after the warm-up: all caches are full by then only after many requests. */
  checksMemory: boolean
  log(line: string): void
}

export type FuzzResult = {
  /** The number of kinds of findings. */
  findings: number
  report: string
  /** The share of accepted requests. */
  accepted: number
}

/** Concurrent sequences of requests: of users, of another server, and over WebSockets. */
const LANES = 10
const PEER_LANES = 4
const SOCKET_LANES = 1
/** The share of requests after which the caches are full. */
const WARM_UP = 0.2
const PROGRESS_EVERY = 5_000
const PATIENCE_MS = 120_000

/** The parts of a run. */
type Run = {
  world: FuzzWorld
  findings: Findings
  tally: Tally
  counts: PeerCounts & { socketMessages: number }
  deliveries: Deliveries
  bystanders: Bystanders
  friend: Friend
  lanes: { step(): Promise<void> }[]
  /** Runs regular checks and clean-up. */
  tend(): void
}

/** Sends valid and invalid requests and events to a homeserver, while bystanders use it. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const world = await startFuzzWorld(options.place, [INSPECTED])
  try {
    const run = await startRun(world, options)
    const { findings, tally, log } = { ...run, log: options.log }
    await advance(run, options, options.requests * WARM_UP)
    const before = await measureMemory(world.processes)
    await advance(run, options, options.requests)
    await run.friend.stop()
    await run.bystanders.stop()
    const { checksMemory } = options
    const after = await (checksMemory ? measureSettled(world.processes, before) : measureMemory(world.processes))
    run.tend()
    const memory = describeMemory(before, after)
    if (checksMemory && hasGrown(before, after)) findings.add({ kind: 'memory has grown', detail: memory })
    log(tally.table())
    log(summaryOf(run))
    log(memory)
    return { findings: findings.count(), report: findings.report(), accepted: tally.accepted().all }
  } finally {
    await world.federation.dispose()
  }
}

async function startRun(world: FuzzWorld, { seed, log }: FuzzOptions): Promise<Run> {
  const { federation } = world
  const findings = createFindings(log)
  const [forClients, forServers] = [fuzzedOperations('client-server'), fuzzedOperations('server-server')]
  const tally = createTally([...[...forClients, ...forServers].map(({ name }) => name), SOCKET_OPERATION])
  const peer = await startLyingServer(federation, { isChecked: false })
  const deliveries = createDeliveries(findings)
  const friend = await startFriend(
    { world, friend: await startLyingServer(federation, { isChecked: false }), findings },
    {
      said: (eventId) => deliveries.expect(eventId, 'a message of a friendly server', ['sync', 'sliding sync']),
      heard: (eventId) => deliveries.see('federation', eventId),
      received: () => deliveries.complete('federation'),
    },
  )
  const bystanders = startBystanders(world, findings, deliveries)
  lieAtTimes(peer, drawFrom(seed))
  const counts = { pdus: 0, acceptedPdus: 0, edus: 0, socketMessages: 0 }
  const common = { world, seed, tally, findings }
  const dispatcher = openAgent(world, LANES * 2)
  const users: Lane[] = []
  for (let index = 0; index < LANES; index++) {
    const elsewhere = elsewhereFor(peer)
    const more = { index, operations: forClients, dispatcher, elsewhere, suggest: bystanders.suggest }
    users.push(await createLane({ ...common, ...more }))
  }
  const peerDispatcher = openAgent(world, PEER_LANES * 2)
  const peers = Array.from({ length: PEER_LANES }, (_, i) =>
    createPeerLane({
      ...common,
      peer,
      index: LANES + i,
      operations: forServers,
      dispatcher: peerDispatcher,
      lanes: users,
      counts,
    }),
  )
  const sockets = Array.from({ length: SOCKET_LANES }, (_, i) =>
    createSocketLane({ ...common, index: LANES + PEER_LANES + i, lanes: users, counts }),
  )
  const logs = watchLogs(world.processes, findings)
  const tend = () => {
    logs.look()
    world.forget()
    peer.asked.length = 0
  }
  return {
    world,
    findings,
    tally,
    counts,
    deliveries,
    bystanders,
    friend,
    lanes: [...users, ...peers, ...sockets],
    tend,
  }
}

function openAgent({ federation }: FuzzWorld, connections: number): Agent {
  const ca = readFileSync(federation.authority.certificate)
  const agent = new Agent({ connect: { ca }, connections, headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS })
  federation.onDispose(() => agent.destroy())
  return agent
}

/** Returns the objects of the peer that users can name. */
function elsewhereFor(peer: LyingServer) {
  return {
    get rooms() {
      return ['!unknown:elsewhere.test', ...peer.rooms.keys()]
    },
    users: [`@creator:${peer.serverName}`, '@user:elsewhere.test'],
    server: peer.serverName,
  }
}

/** Runs all lanes until a number of requests were sent, and waits for requests in flight. */
async function advance({ lanes, tally, bystanders, tend }: Run, { log }: FuzzOptions, total: number): Promise<void> {
  const [started, first] = [performance.now(), tally.total()]
  let told = first
  let isOver = false
  const goOn = async ({ step }: { step(): Promise<void> }) => {
    while (!isOver) {
      await step()
      const sent = tally.total()
      isOver ||= sent >= total
      if (sent < told + PROGRESS_EVERY) continue
      told = sent
      tend()
      const rate = Math.round((sent - first) / ((performance.now() - started) / 1000))
      log(`${sent} requests, ${rate}/s; ${JSON.stringify(bystanders.counts())}`)
    }
  }
  const ends = await Promise.allSettled(lanes.map((lane) => goOn(lane).finally(() => (isOver = true))))
  tend()
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

function summaryOf({ tally, counts, bystanders, deliveries, friend }: Run): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`
  const { all, unchanged } = tally.accepted()
  const { syncs, messages, reads } = bystanders.counts()
  return [
    `${tally.total()} requests, with ${counts.pdus} events and ${counts.edus} EDUs of another server, and ${counts.socketMessages} messages by WebSocket`,
    `accepted: ${percent(all)} of all, ${percent(unchanged)} of those with nothing wrong, ${percent(counts.acceptedPdus / counts.pdus)} of the events`,
    `bystanders: ${syncs} syncs, ${messages} messages, ${reads} further requests; ${friend.count()} messages of a friendly server; ${deliveries.arrived()} messages arrived everywhere`,
    `nothing was accepted of: ${tally.neverAccepted().join(', ')}`,
  ].join('\n')
}
