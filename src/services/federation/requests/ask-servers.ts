import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { createConcurrencyLimit } from '../../../infra/concurrency/concurrency-limit.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'
import { filterRestingDestinations } from '../../../storage/rooms/membership/other-servers.ts'

/**
 * The servers that could not be asked, by name, as in responses to key queries:
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
 */
export type Failures = Record<string, { errcode: string; error: string }>

/** Limits of one request: the time for each server in milliseconds, and the bytes of all responses together. */
export type Asking = { timeoutMs: number; signal: AbortSignal; budget: { bytes: number } }

/** Concurrent servers per request. */
const AT_ONCE = 50
const MAX_BYTES = 32 * 1024 * 1024

/**
 * Asks servers concurrently. Servers that failed recently come last, so that they delay the others little. Servers that
 * do not answer within `timeoutMs` milliseconds are among the failures, and so are those beyond
 * `limits.counts.key_servers`.
 */
export async function askServers<Answer>(
  app: Pick<App, 'database' | 'clock' | 'config' | 'logger'>,
  { servers, timeoutMs }: { servers: Iterable<ServerName>; timeoutMs: number },
  ask: (server: ServerName, asking: Asking) => Promise<Answer>,
): Promise<{ answers: Answer[]; failures: Failures }> {
  const failures: Failures = {}
  const asking = { timeoutMs, signal: AbortSignal.timeout(timeoutMs), budget: { bytes: MAX_BYTES } }
  const inTurn = createConcurrencyLimit(AT_ONCE)
  const answers = await Promise.all(
    (await promisingFirst(app, [...servers])).map((server, place) =>
      inTurn(async () => {
        try {
          if (place >= app.config.limits.counts.key_servers || asking.signal.aborted) throw notAsked(server)
          return [await ask(server, asking)]
        } catch (error) {
          if (!(error instanceof FederationError)) throw error
          app.logger.debug({ err: error, server }, 'request to remote server failed')
          failures[server] = { errcode: error.errcode, error: error.message }
          return []
        }
      }),
    ),
  )
  return { answers: answers.flat(), failures }
}

async function promisingFirst(
  { database, clock }: Pick<App, 'database' | 'clock'>,
  servers: readonly ServerName[],
): Promise<ServerName[]> {
  if (servers.length <= AT_ONCE) return [...servers]
  const resting = await filterRestingDestinations(database, servers, clock.now())
  return [...servers.filter((server) => !resting.has(server)), ...resting]
}

function notAsked(server: ServerName): FederationError {
  return new FederationError(`${server} was not asked in time, as too many servers have to be asked`)
}
