import cluster from 'node:cluster'
import { flushCompileCache } from 'node:module'
import { type Config, loadConfig } from '../config.ts'
import { logFormat } from '../infra/logger.ts'
import { watchExceptions } from '../infra/unexpected-exceptions.ts'
import { configureProcess } from './configure-process.ts'
import { withRegistrationSecret } from './registration-secret.ts'
import { nextStopSignal, surviveClosedPipes } from './stop-signals.ts'
import { DRAIN, placeOfProcess, READY } from './supervise.ts'
import { welcome } from './welcome.ts'

/** Bounds a graceful stop after an unexpected exception: it may wait for something that never happens. */
const STOP_MS = 30_000

/** Runs the server, one of `processes`, until a signal or its supervisor stops it; returns the exit code. */
export async function serve({
  configFile,
  processes,
}: {
  configFile: string | undefined
  processes: number
}): Promise<number> {
  const stopSignal = nextStopSignal()
  const place = await placeOfProcess()
  const drainAsked = nextDrain()
  const config = configureProcess(withRegistrationSecret(loadConfig({ configFile })), {
    processes,
    place,
  })
  surviveClosedPipes()
  // Loaded late, so that a mistake in the configuration shows at once.
  const { startServer } = await import('../server.ts')
  const server = await startServer(config)
  // Writes the compile cache now, in case the process ends suddenly, and frees it in memory.
  flushCompileCache()
  if (isFirst()) announce(config, welcome(config, server.addresses, configFile))
  process.send?.(READY)
  const exceptions = watchExceptions(server)
  let exitCode = 0
  const failed = exceptions.first.then(() => {
    exitCode = 1
    setTimeout(() => process.exit(1), STOP_MS).unref()
  })
  const drained = drainAsked.then(() => server.drain())
  await Promise.race([stopSignal, failed, drained])
  await server.close()
  exceptions.stop()
  return exitCode
}

/** Resolves when the supervisor replaces this process. SIGHUP is for the supervisor, but a terminal sends it to all. */
function nextDrain(): Promise<void> {
  return new Promise((resolve) => {
    if (!cluster.isWorker) return
    process.on('SIGHUP', () => {})
    process.on('message', (message) => message === DRAIN && resolve())
  })
}

/** Whether no other process of the supervisor was started before this one. */
function isFirst(): boolean {
  return !cluster.isWorker || cluster.worker?.id === 1
}

/** Logs in JSON are for machines: print no welcome between them. */
function announce(config: Config, text: string): void {
  const stream = logFormat(config.log) === 'json' ? process.stderr : process.stdout
  stream.write(text)
}
