import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../testing/free-port.ts'
import { startPostgres } from '../../testing/postgres.ts'
import type { TestFederation } from './federation.ts'
import type { HearthOptions, TestHearth } from './hearth.ts'
import { startRoundRobinProxy } from './round-robin-proxy.ts'
import type { Asked } from './signed-request.ts'

/** One process on the embedded database, one on PostgreSQL, or three that share a PostgreSQL. */
export type Place = 'pglite' | 'postgresql' | 'three-processes'

export type Homeserver = {
  processes: TestHearth[]
  /** The URL for clients; with three processes, requests rotate among them. */
  url: string
  /** The address for other servers. */
  home: Asked & { serverName: string; federationPort: number }
}

/**
 * Starts a server of a federation on a kind of database; it stops with the federation. `options`: `config` is merged
 * with the keys that federation needs.
 */
export async function startHomeserver(
  federation: TestFederation,
  place: Place,
  { config = {}, ...more }: HearthOptions = {},
): Promise<Homeserver> {
  const trust = {
    federation: { trusted_certificates: [federation.authority.certificate], allow_private_addresses: true },
  }
  if (place !== 'three-processes') {
    const database = place === 'postgresql' && { databaseUrl: await newDatabase(federation) }
    const hearth = await federation.hearth({ ...more, ...database, config: { ...trust, ...config } })
    const home = { serverName: hearth.serverName, federationPort: hearth.federationPort! }
    return { processes: [hearth], url: hearth.url, home }
  }
  const databaseUrl = await newDatabase(federation)
  const storage_dir = mkdtempSync(join(tmpdir(), 'hearth-media-'))
  federation.onDispose(() => rmSync(storage_dir, { recursive: true, force: true }))
  const federationPort = await freePort()
  const serverName = `localhost:${federationPort}`
  const media = { storage_dir, ...(config.media as object | undefined) }
  const options = { ...more, databaseUrl, serverName, config: { ...trust, ...config, media } }
  const processes = await Promise.all([1, 2, 3].map(() => federation.hearth(options)))
  const proxy = await startRoundRobinProxy(processes.map(({ url }) => url))
  federation.onDispose(() => proxy.close())
  federation.onDispose(
    await startTcpProxy(
      federationPort,
      processes.map((hearth) => hearth.federationPort!),
    ),
  )
  return { processes, url: proxy.url, home: { serverName, federationPort } }
}

async function newDatabase(federation: TestFederation): Promise<string> {
  const postgres = await startPostgres()
  federation.onDispose(() => postgres.stop())
  return postgres.createDatabase()
}

/** Listens on a local port and forwards each connection to the next backend port. Returns a function that stops it. */
async function startTcpProxy(port: number, backends: readonly number[]): Promise<() => Promise<void>> {
  let next = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const backend = connect(backends[next++ % backends.length]!, 'localhost')
    client.pipe(backend).pipe(client)
    for (const [one, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        other.destroy()
        sockets.delete(one)
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve))
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
}
