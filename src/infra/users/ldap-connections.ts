import type { Client } from 'ldapts'
import { createConcurrencyLimit } from '../concurrency/concurrency-limit.ts'
import type { Trust } from '../http/trusted-connections.ts'
import {
  ConnectionLost,
  createLdapConnection,
  type LdapConnection,
  type LdapServer,
  resultCodeOf,
} from './ldap-connection.ts'

export type LdapConnections = {
  /**
   * Runs requests on a connection of their own. It has the identity of its last user: the work has to bind first. Work
   * that fails because the directory had closed an idle connection runs again on a new one. Rejects with LdapTimeout.
   */
  run<Result>(work: (client: Client) => Promise<Result>): Promise<Result>
  close(): void
}

/** The directory, or the turn to ask it, took too long. */
class LdapTimeout extends Error {
  constructor() {
    super('the directory did not answer in time')
    this.name = 'LdapTimeout'
  }
}

/** `late`: aborted when the time is up. */
type Turn<Result> = { work: (client: Client) => Promise<Result>; late: AbortSignal }
type IdleConnections = {
  /** Returns the most recently used one. */
  take(): LdapConnection | undefined
  add(connection: LdapConnection): void
  close(): void
}

/** Directories close idle connections too, often after some minutes. */
const IDLE_MS = 30_000
/** Sign-ins that wait for a connection, for each connection; further ones fail at once. */
const WAITING_EACH = 50

/** Connections to the configured directory. A process opens at most `max_connections`, when they are needed. */
export async function createLdapConnections(server: LdapServer, trust: Trust): Promise<LdapConnections> {
  const { Client } = await import('ldapts')
  const queued = createConcurrencyLimit(server.max_connections)
  const idle = createIdleConnections()
  let waiting = 0

  async function runNow<Result>(turn: Turn<Result>): Promise<Result> {
    const old = idle.take()
    if (old) {
      try {
        return await runOn(old, turn, idle)
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error
      }
    }
    const connection = createLdapConnection(Client, server, trust)
    const startAndWork = async (client: Client) => {
      await connection.start()
      return turn.work(client)
    }
    return runOn(connection, { ...turn, work: startAndWork }, idle)
  }

  return {
    async run(work) {
      if (waiting >= WAITING_EACH * server.max_connections) throw new LdapTimeout()
      waiting++
      const late = AbortSignal.timeout(server.timeout)
      try {
        // The inner limit frees the turn, the outer one ends the wait for it.
        const result = queued(() => unlessAborted(late, new LdapTimeout(), runNow({ work, late })))
        return await unlessAborted(late, new LdapTimeout(), result)
      } finally {
        waiting--
      }
    },
    close: () => idle.close(),
  }
}

function createIdleConnections(): IdleConnections {
  const idle: { connection: LdapConnection; since: number }[] = []
  const endOlder = (since: number) => {
    while (idle[0] && idle[0].since <= since) idle.shift()!.connection.end()
  }
  const ending = setInterval(() => endOlder(Date.now() - IDLE_MS), IDLE_MS).unref()
  return {
    take() {
      for (let last = idle.pop(); last; last = idle.pop()) if (!last.connection.closed.aborted) return last.connection
      return undefined
    },
    add: (connection) => void idle.push({ connection, since: Date.now() }),
    close() {
      clearInterval(ending)
      endOlder(Number.POSITIVE_INFINITY)
    },
  }
}

/** Runs work on a connection, which is idle afterwards, or closed if the work fails. */
async function runOn<Result>(
  connection: LdapConnection,
  { work, late }: Turn<Result>,
  idle: IdleConnections,
): Promise<Result> {
  late.addEventListener('abort', connection.end)
  try {
    if (late.aborted) throw new LdapTimeout()
    const result = await unlessAborted(connection.closed, new ConnectionLost(), work(connection.client))
    idle.add(connection)
    return result
  } catch (error) {
    connection.end()
    throw resultCodeOf(error) === undefined && connection.closed.aborted ? new ConnectionLost(error) : error
  } finally {
    late.removeEventListener('abort', connection.end)
  }
}

/** Rejects with `error` as soon as `signal` aborts. */
function unlessAborted<Result>(signal: AbortSignal, error: Error, result: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
