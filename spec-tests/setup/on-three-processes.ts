import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { freePort } from '../../testing/free-port.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { startHearth } from '../harness/hearth.ts'
import { startRoundRobinProxy } from '../harness/round-robin-proxy.ts'
import { provideHomeserver } from './homeserver.ts'

/**
 * Three Hearths on one PostgreSQL behind a round-robin proxy, started concurrently so that they migrate concurrently.
 */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideHomeserver(project, async () => {
    const storage_dir = mkdtempSync(join(tmpdir(), 'hearth-media-'))
    const processes = await startThreeProcesses({ storage_dir })
    return {
      url: processes.url,
      async dispose() {
        await processes.dispose()
        rmSync(storage_dir, { recursive: true, force: true })
      },
    }
  })
}

/** Starts the three with the section `media` of their configuration. */
export async function startThreeProcesses(media: object): Promise<{ url: string; dispose(): Promise<void> }> {
  const postgres = await startPostgres()
  const databaseUrl = await postgres.createDatabase()
  const port = await freePort()
  const config = { media, public_base_url: `http://localhost:${port}` }
  const hearths = await Promise.all([1, 2, 3].map(() => startHearth({ databaseUrl, config })))
  const proxy = await startRoundRobinProxy(
    hearths.map((hearth) => hearth.url),
    { port },
  )
  return {
    url: proxy.url,
    async dispose() {
      await proxy.close()
      await Promise.all(hearths.map((hearth) => hearth.dispose()))
      await postgres.stop()
    },
  }
}
