import type { IdentityClient } from '../http/identity-client.ts'
import type { AskedLanes, Asker } from './asked-lanes.ts'
import { type FederationClient, type FederationRequest, STREAM_TIMEOUT_MS, TIMEOUT_MS } from './federation-client.ts'
import { FederationError } from './federation-error.ts'

/**
 * Asks other servers on somebody's behalf, in the asker's lane. The time that a request waits is part of the time that it may take; a stream waits
 * until it begins, and takes no place in the lane from then on. Throws as the client, and M_LIMIT_EXCEEDED when too many requests of the asker wait.
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

/** What is awaited, or the reason of the signal as soon as that aborts. A connection that is being made goes on until then or later, and keeps its place in the lane. */
function unlessAborted<Result>(awaited: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    awaited.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

const IDENTITY_TIMEOUT_MS = 30_000

/** Asks identity servers on somebody's behalf. */
export function askIdentityOnBehalf(client: IdentityClient, lanes: AskedLanes, asker: Asker): IdentityClient {
  return {
    request: (request) => lanes(asker, () => client.request(request), AbortSignal.timeout(IDENTITY_TIMEOUT_MS)),
  }
}
