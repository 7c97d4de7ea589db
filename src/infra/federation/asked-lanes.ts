import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import { createLanes } from '../concurrency/lanes.ts'

/** On whose behalf others are asked: a user of this server, another server, or a network from which somebody without an account makes requests. */
export type Asker = { kind: 'user' | 'server' | 'network'; id: string }

/** The kinds of requests that have connections of their own: what this server itself does, and what each kind of asker leads to. */
export type Lane = 'own' | Asker['kind']

/**
 * Runs work in the lane of whoever wants it done. Users, other servers, and strangers have limits of their own, so that none of them delays what
 * others want, and nobody what this server has to do itself. Throws M_LIMIT_EXCEEDED when too much of one asker waits, and the reason of `signal` when
 * that aborts before the work has begun.
 */
export type AskedLanes = <Result>(asker: Asker, work: () => Promise<Result>, signal?: AbortSignal) => Promise<Result>

const CROWDED_MS = 5000
/** So many times what may wait of one asker may wait of all. */
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
    throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many of your requests wait for other servers already', retry)
  }
}
