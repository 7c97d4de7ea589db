import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { registerUser, type TestUser, uniqueName } from './client.ts'
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts'
import { startFederation, type TestFederation } from './federation.ts'
import { type ForkEvidence, hearthEvidence, synapseEvidence } from './fork-evidence.ts'
import type { Chance } from './seeded.ts'
import { startSynapse } from './synapse.ts'

/** A homeserver that the others reach through its own proxy. */
export type ForkServer = {
  name: string
  kind: 'hearth' | 'synapse'
  proxy: FaultyProxy
  /** Its user whom nobody moderates. */
  anchor: TestUser
  /** Its moderated users. */
  others: TestUser[]
  /** Whether it responds to its users now. */
  isUp: boolean
  /** Kills it, as a crash would. */
  kill(): Promise<void>
  restart(): Promise<void>
  output(): string
  /** Returns all data about a room, also events hidden from clients. */
  evidence(roomId: string): Promise<ForkEvidence>
}

export type ForkNetwork = { servers: ForkServer[]; dispose(): Promise<void> }

const USERS = 3

/** Default Synapse, but it retries servers as soon as Hearth does, and has no sync cache. */
const SYNAPSE = {
  filter_timeline_limit: -1,
  federation: {
    destination_min_retry_interval: '1s',
    destination_max_retry_interval: '2s',
    destination_retry_multiplier: 1,
    client_timeout: '10s',
    max_short_retries: 0,
    max_long_retries: 1,
    max_long_retry_delay: '1s',
  },
}

/** Starts three Hearths and a Synapse with a few users each. */
export async function startForkNetwork(): Promise<ForkNetwork> {
  const federation = await startFederation()
  try {
    const kinds = ['hearth', 'hearth', 'hearth', 'synapse'] as const
    const postgres = await startPostgres()
    federation.onDispose(() => postgres.stop())
    const servers = await Promise.all(kinds.map((kind) => startServer(federation, { kind, postgres })))
    return { servers, dispose: federation.dispose }
  } catch (error) {
    await federation.dispose()
    throw error
  }
}

async function startServer(
  federation: TestFederation,
  { kind, postgres }: { kind: ForkServer['kind']; postgres: TestPostgres },
): Promise<ForkServer> {
  const proxy = await startFaultyProxy(federation, { isBeforeSynapse: kind === 'synapse' })
  const name = `localhost:${proxy.port}`
  const { server, kill, evidence } = await (kind === 'hearth'
    ? startOurs(federation, name, await postgres.createDatabase())
    : startTheirs(federation, name))
  proxy.passTo(server.federationPort!)
  const [anchor, ...others] = await Promise.all(
    Array.from({ length: 1 + USERS }, (_, place) =>
      registerUser(server.url, uniqueName(place === 0 ? 'anchor' : 'user')),
    ),
  )
  const made: ForkServer = {
    name,
    kind,
    proxy,
    anchor: anchor!,
    others,
    isUp: true,
    async kill() {
      made.isUp = false
      await kill()
    },
    async restart() {
      await server.restart()
      made.isUp = true
    },
    output: () => server.output(),
    evidence,
  }
  return made
}

async function startOurs(federation: TestFederation, serverName: string, databaseUrl: string) {
  const server = await federation.hearth({ serverName, databaseUrl, config: hearthConfig(federation) })
  return {
    server,
    kill: () => server.kill('SIGKILL'),
    evidence: (roomId: string) => hearthEvidence(databaseUrl, roomId),
  }
}

function hearthConfig({ authority }: TestFederation) {
  return {
    federation: { trusted_certificates: [authority.certificate], allow_private_addresses: true },
    log: { level: process.env.FORK_LOG_LEVEL ?? 'warn' },
  }
}

async function startTheirs(federation: TestFederation, server_name: string) {
  const server = await startSynapse(federation, { ...SYNAPSE, server_name })
  return {
    server,
    kill: () => server.kill(),
    evidence: async (roomId: string) => synapseEvidence(server.databaseFile, roomId),
  }
}

/** A temporary partition of the network. */
export type Cut = { kind: string; isCut(from: ForkServer, to: ForkServer): boolean }

/** Returns a random partition: halves, one isolated server, some directions only, or one server's crash. */
export function anyCut(chance: Chance, servers: readonly ForkServer[]): Cut & { dies?: ForkServer } {
  const order = chance.shuffled(servers)
  const [first, second] = order as [ForkServer, ForkServer]
  const isFirst = (server: ForkServer) => server === first
  const isHalf = (server: ForkServer) => server === first || server === second
  const kind = chance.weighted({ halves: 4, one: 4, 'one is deaf': 2, 'one is mute': 2, directions: 3, death: 2 })
  if (kind === 'halves') return { kind, isCut: (from, to) => isHalf(from) !== isHalf(to) }
  if (kind === 'one') return { kind, isCut: (from, to) => isFirst(from) !== isFirst(to) }
  if (kind === 'one is deaf') return { kind, isCut: (_, to) => isFirst(to) }
  if (kind === 'one is mute') return { kind, isCut: (from) => isFirst(from) }
  if (kind === 'death') return { kind, dies: first, isCut: (from, to) => isFirst(from) !== isFirst(to) }
  const directions = new Set(
    servers.flatMap((from) => servers.filter(() => chance.happens(0.5)).map((to) => `${from.name} ${to.name}`)),
  )
  return { kind, isCut: (from, to) => directions.has(`${from.name} ${to.name}`) }
}

/** Partitions the network; `undefined`: reconnects it. */
export function applyCut(servers: readonly ForkServer[], cut: Cut | undefined): void {
  for (const to of servers) {
    const from = servers.filter((server) => server !== to && cut?.isCut(server, to))
    to.proxy.cutOff(new Set(from.map(({ name }) => name)))
  }
}
