import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createActs, createForkRoom, type ForkRoom, reopenRoom, talk, untilHere } from '../harness/fork-acts.ts'
import { followGraph, type Graph, mayBeSoftFailed, messagesOf, stateOf } from '../harness/fork-comparison.ts'
import { anyCut, applyCut, type ForkNetwork, type ForkServer, startForkNetwork } from '../harness/fork-network.ts'
import { START_MS } from '../harness/hearth.ts'
import { seeded } from '../harness/seeded.ts'

/** The number of partitions, the room versions, and the seed; the defaults are for CI. */
const CUTS = Number(process.env.FORK_CUTS ?? 3)
const SEED = Number(process.env.FORK_SEED ?? 1)
const VERSIONS = (process.env.FORK_VERSIONS ?? '10 12').split(' ')
/** After this number of partitions the network is connected, and compared. */
const CUTS_AT_ONCE = CUTS > 20 ? 8 : 3
/** During a partition, users of each server act this often in each room, or not at all. */
const ACTS = 2
const EAGERNESS = 0.7
/**
 * A folder for the servers' logs and, if the test fails, for all their data of the rooms; FORK_LOG_LEVEL is Hearth's
 * log level.
 */
const LOGS = process.env.FORK_LOGS
if (LOGS) mkdirSync(LOGS, { recursive: true })
const SETTLE_MS = 300_000

let network: ForkNetwork
beforeAll(async () => {
  network = await startForkNetwork()
}, 2 * START_MS)
afterAll(async () => {
  for (const [place, server] of (network?.servers ?? []).entries()) {
    if (LOGS) writeFileSync(join(LOGS, `${place}-${server.kind}-${server.name}.log`), server.output())
  }
  await network?.dispose()
})

/**
 * Compared once all servers are connected again: the whole state of every room, by event IDs, and the messages that a
 * user who was always in the room gets by paginating the whole history. A message may be missing on a server only if
 * that may have soft-failed it.
 * https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution
 */
test('servers that were cut off from one another agree on state and messages when they are joined again', {
  timeout: 300_000 + CUTS * 60_000,
}, async ({ onTestFailed }) => {
  const { servers } = network
  const chance = seeded(SEED)
  const rooms = await Promise.all(
    VERSIONS.map((version, place) => createForkRoom(servers, servers[(SEED + place) % servers.length]!, version)),
  )
  onTestFailed(async () => {
    for (const room of rooms) if (LOGS) await keepEvidence(LOGS, servers, room)
  })
  const graph = followGraph(servers)
  await graph.follow()
  const acts = createActs(chance, servers)
  const counts: Record<string, number> = {}
  const count = (what: string) => (counts[what] = (counts[what] ?? 0) + 1)

  for (let cuts = 1; cuts <= CUTS; cuts++) {
    const cut = anyCut(chance, servers)
    count(`cut: ${cut.kind}`)
    applyCut(servers, cut)
    await cut.dies?.kill()
    const living = servers.filter(({ isUp }) => isUp)
    for (let round = 0; round < ACTS; round++) {
      const busy = living.flatMap((server) => rooms.map((room) => ({ server, room })))
      await Promise.all(
        busy
          .filter(() => chance.happens(EAGERNESS))
          .map(async ({ server, room }) => {
            const { name, answer } = await acts.act(server, room)
            count(`${name}: ${answer.status}`)
            if (answer.status === 500) throw new Error(`${server.kind}: ${name}: ${JSON.stringify(answer.body)}`)
          }),
      )
    }
    await cut.dies?.restart()
    await graph.follow()
    if (cuts % CUTS_AT_ONCE === 0 || cuts === CUTS) {
      applyCut(servers, undefined)
      await settle(servers, rooms)
      await graph.follow()
      await Promise.all(rooms.map((room) => expectSameState(servers, room)))
      if (CUTS > 20) console.info(`seed ${SEED}: after ${cuts} cuts all servers have the same state`)
      if (cuts < CUTS) await Promise.all(rooms.map((room) => reopenRoom(servers, room, SETTLE_MS)))
    }
  }
  for (const room of rooms) await expectSameMessages(servers, room, { graph, count })
  console.info(`seed ${SEED}, ${CUTS} cuts, ${graph.events.size} events:`, counts)
})

/**
 * Waits until all servers have all events. The last message, sent after each server has sent one, follows all forks.
 */
async function settle(servers: readonly ForkServer[], rooms: readonly ForkRoom[]): Promise<void> {
  for (const room of rooms) await Promise.all(servers.map(({ anchor }) => talk(anchor, room, 'Is anybody there?')))
  await Promise.all(
    rooms.map(async (room) => {
      for (const server of servers) {
        const { status, body } = await talk(server.anchor, room, `Here is ${server.name}`)
        expect({ status, body }).toMatchObject({ status: 200 })
        await Promise.all(servers.map((other) => untilHere(other, room, body.event_id, SETTLE_MS)))
      }
    }),
  )
}

async function expectSameState(servers: readonly ForkServer[], room: ForkRoom): Promise<void> {
  const states = await Promise.all(servers.map((server) => stateOf(server, room)))
  const [first, ...others] = states
  for (const [place, other] of others.entries()) {
    expect(other, `${room.version}: ${servers[place + 1]!.kind} has the state of ${servers[0]!.kind}`).toEqual(first)
  }
}

/** Stores all data needed to find out which server is right. */
async function keepEvidence(folder: string, servers: readonly ForkServer[], room: ForkRoom): Promise<void> {
  const { roomId, version } = room
  const held = await Promise.all(
    servers.map(async (server) => {
      const state = await stateOf(server, room).catch(String)
      return { name: server.name, kind: server.kind, state, ...(await server.evidence(roomId)) }
    }),
  )
  writeFileSync(join(folder, `room-${version}.json`), JSON.stringify({ roomId, version, servers: held }, null, 1))
}

async function expectSameMessages(
  servers: readonly ForkServer[],
  room: ForkRoom,
  { graph, count }: { graph: Graph; count(what: string): void },
): Promise<void> {
  const lists = await Promise.all(servers.map((server) => messagesOf(server, room)))
  const all = new Map(lists.flatMap((list) => [...list]))
  for (const [id, message] of all) {
    const { sender } = message
    const without = servers.filter((_, place) => !lists[place]!.has(id))
    if (without.length === 0) {
      count('message: seen by all')
      continue
    }
    const names = without.map(({ kind, name }) => `${kind} ${name}`).join(', ')
    const what = `${room.version}: ${id} of ${sender} is missing on ${names}`
    expect(
      without.map(({ name }) => name),
      what,
    ).not.toContain(sender.slice(sender.indexOf(':') + 1))
    const why = mayBeSoftFailed(graph, room.roomId, message)
    expect(why, what).toBeDefined()
    const place = graph.events.has(id) ? '' : ', its place is not known'
    count(`message: soft-failed by ${without.length}, ${why}${place}`)
  }
}
