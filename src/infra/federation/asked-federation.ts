import type { IdentityClient } from '../http/identity-client.ts'
import type { AskedLanes, Asker } from './asked-lanes.ts'
import { type FederationClient, type FederationRequest, STREAM_TIMEOUT_MS, TIMEOUT_MS } from './federation-client.ts'
import { FederationError } from './federation-error.ts'

/**
 * Wraps the federation client so that requests run in the asker's lane. The wait counts towards the request's timeout;
 * a stream waits until it starts, and then leaves the lane. Throws like the client, and M_LIMIT_EXCEEDED if too many
 * requests of the asker wait.
 */
export function askOnBehalf(client: FederationClient, lanes: AskedLanes, asker: Asker): FederationClient {
  async function inLane<Result>(
    {
      destination,
      signal: given,
      timeoutMs,
    }: Pick<FederationRequest, 'destination' | 'signal'> & { timeoutMs: number },
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = given ? AbortSignal.any([given, timeout]) : timeout
    let hasBegun = false
    const result = lanes(
      asker,
      () => {
        hasBegun = true
        return work(signal)
      },
      signal,
    )
    try {
      return await unlessAborted(result, signal)
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error
      const why = hasBegun ? 'cannot be reached' : 'was not asked in time, as too many requests wait'
      throw new FederationError(`${destination} ${why}`, { cause: error })
    }
  }

  const { kind: lane } = asker
  return {
    request: (command) =>
      command.lane === 'own'
        ? client.request(command)
        : inLane({ timeoutMs: TIMEOUT_MS, ...command }, (signal) => client.request({ ...command, signal, lane })),
    stream: (command) =>
      command.lane === 'own'
        ? client.stream(command)
        : inLane({ timeoutMs: STREAM_TIMEOUT_MS, ...command }, (signal) => client.stream({ ...command, signal, lane })),
    download: (destination, url, bounds) =>
      inLane({ destination, ...bounds }, (signal) => client.download(destination, url, { ...bounds, signal })),
  }
}

/**
 * Resolves with the awaited value, or rejects as soon as the signal aborts. A connection that is being established
 * continues in the background, and keeps its place in the lane.
 */
function unlessAborted<Result>(awaited: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    awaited.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

const IDENTITY_TIMEOUT_MS = 30_000

/** Wraps the identity client in the same way. */
export function askIdentityOnBehalf(client: IdentityClient, lanes: AskedLanes, asker: Asker): IdentityClient {
  return {
    request: (request) => lanes(asker, () => client.request(request), AbortSignal.timeout(IDENTITY_TIMEOUT_MS)),
  }
}
