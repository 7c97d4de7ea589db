import { flushCompileCache } from 'node:module'
import { type Config, loadConfig } from '../config.ts'
import { logFormat } from '../infra/logger.ts'
import { watchExceptions } from '../infra/unexpected-exceptions.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { withRegistrationSecret } from './registration-secret.ts'
import { welcome } from './welcome.ts'

const INTERRUPTED = 130
const SAME_SIGNAL_MS = 1000
/** Bounds a graceful stop after an unexpected exception: it may wait for something that never happens. */
const STOP_MS = 30_000

export const start = defineCommand({
  about:
    'Starts the server. SIGTERM or SIGINT (Ctrl-C) stops it gracefully. Without a configuration it serves http://localhost:8008 and keeps all data in ./data.',
  options: CONFIG_OPTION,
  examples: [
    ['start', 'try it'],
    ['start --config hearth.yaml', 'run with your own configuration'],
    ['generate-config --output hearth.yaml', 'create a configuration file'],
  ],
  async run({ config: configFile }) {
    const config = withRegistrationSecret(loadConfig({ configFile }))
    const stopSignal = nextStopSignal()
    // The reader of the log may close the pipe: keep running.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
    // Loaded late, so that a mistake in the configuration shows at once.
    const { startServer } = await import('../server.ts')
    const server = await startServer(config)
    // Writes the compile cache now, in case the process ends suddenly, and frees it in memory.
    flushCompileCache()
    announce(config, welcome(config, server.addresses, configFile))
    const exceptions = watchExceptions(server)
    let exitCode = 0
    const failed = exceptions.first.then(() => {
      exitCode = 1
      setTimeout(() => process.exit(1), STOP_MS).unref()
    })
    await Promise.race([stopSignal, failed])
    await server.close()
    exceptions.stop()
    return exitCode
  },
})

/** Logs in JSON are for machines: print no welcome between them. */
function announce(config: Config, text: string): void {
  const stream = logFormat(config.log) === 'json' ? process.stderr : process.stdout
  stream.write(text)
}

/** Resolves with the first SIGTERM or SIGINT. A later one ends the process at once, unless it follows so closely that it is the same one: npm passes on what the terminal has sent to the whole group. */
function nextStopSignal(): Promise<void> {
  let firstAt: number | undefined
  return new Promise((resolve) => {
    const stop = () => {
      firstAt ??= Date.now()
      if (Date.now() - firstAt > SAME_SIGNAL_MS) process.exit(INTERRUPTED)
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}
