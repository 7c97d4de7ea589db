import { freePort } from '../../testing/free-port.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { startHearth, type TestHearth } from './hearth.ts'
import { startRoundRobinProxy } from './round-robin-proxy.ts'

/** Processes of one server. `url`: where clients reach them. */
export type Hearths = { url: string; hearths: readonly TestHearth[]; dispose(): Promise<void> }

/** Starts one Hearth on the embedded database, or several on one PostgreSQL behind a proxy that takes them in turn. */
export async function startHearths(processes: number, config: object): Promise<Hearths> {
  if (processes === 1) {
    const hearth = await startHearth({ config: { ...config } })
    return { url: hearth.url, hearths: [hearth], dispose: () => hearth.dispose() }
  }
  const proxyPort = await freePort()
  const postgres = await startPostgres()
  const databaseUrl = await postgres.createDatabase()
  const options = { databaseUrl, config: { ...config, public_base_url: `http://127.0.0.1:${proxyPort}` } }
  const hearths: TestHearth[] = await Promise.all(Array.from({ length: processes }, () => startHearth(options)))
  const proxy = await startRoundRobinProxy(
    hearths.map(({ url }) => url),
    { port: proxyPort },
  )
  return {
    url: proxy.url,
    hearths,
    async dispose() {
      await proxy.close()
      await Promise.all(hearths.map((hearth) => hearth.dispose()))
      await postgres.stop()
    },
  }
}
