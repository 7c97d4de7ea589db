import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/**
 * Watches for uncaught exceptions and unhandled rejections: bugs after which the state of the process is unknown. Each
 * is logged and counted. `first` resolves with the first one, for the process to stop gracefully; it continues until
 * then.
 */
export function watchExceptions({ logger, metrics }: { logger: Logger; metrics: Metrics }): {
  first: Promise<void>
  stop(): void
} {
  const { promise: first, resolve } = Promise.withResolvers<void>()
  // 'uncaughtException' includes unhandled rejections, which Node converts.
  const note = (error: unknown, origin: NodeJS.UncaughtExceptionOrigin) => {
    metrics.unexpectedExceptions.inc()
    logger.fatal({ err: asError(error), origin }, 'uncaught exception, server is stopping')
    resolve()
  }
  process.on('uncaughtException', note)
  return { first, stop: () => void process.off('uncaughtException', note) }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
