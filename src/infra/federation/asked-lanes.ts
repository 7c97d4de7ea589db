import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import { createLanes } from '../concurrency/lanes.ts'

/** The cause of outgoing requests: a local user, another server, or the network of clients without an account. */
export type Asker = { kind: 'user' | 'server' | 'network'; id: string }

/** The kinds of requests with separate connections: those of this server itself, and of each kind of asker. */
export type Lane = 'own' | Asker['kind']

/**
 * Runs work in the asker's lane. Users, other servers, and clients without an account have separate limits, so that
 * none delays the others or this server's own requests. Throws M_LIMIT_EXCEEDED if too much work of one asker waits,
 * and the reason of `signal` if it aborts before the work has started.
 */
export type AskedLanes = <Result>(asker: Asker, work: () => Promise<Result>, signal?: AbortSignal) => Promise<Result>

const CROWDED_MS = 5000
/** The limit of all waiting work, as a multiple of that of one asker. */
const CROWD = 20

export function createAskedLanes(limits: Config['limits']['remote_requests']): AskedLanes {
  const { waiting, user, users, server, servers, network, networks } = limits
  const waitingInAll = CROWD * waiting
  const lanes = {
    user: createLanes<string>({ each: user, total: users, waiting, waitingInAll }),
    server: createLanes<string>({ each: server, total: servers, waiting, waitingInAll }),
    network: createLanes<string>({ each: network, total: networks, waiting, waitingInAll }),
  }
  return async ({ kind, id }, work, signal) => {
    const result = lanes[kind](id, work, signal)
    if (result) return result
    const retry = { retry_after_ms: CROWDED_MS }
    throw new MatrixError(
      429,
      'M_LIMIT_EXCEEDED',
      'Too many of your requests wait for other servers. Try again later.',
      retry,
    )
  }
}
