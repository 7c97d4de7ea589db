import { execFileSync, spawn } from 'node:child_process'
import { startFederation } from '../spec-tests/harness/federation.ts'
import { startHearth } from '../spec-tests/harness/hearth.ts'
import { SYNAPSE_PYTHON, startSynapse } from '../spec-tests/harness/synapse.ts'
import { pollUntil } from '../testing/poll-until.ts'
import { startPostgres } from '../testing/postgres.ts'
import type { Target } from './measure.ts'

/** A measured homeserver of our own, with open registration and without rate limits. */
export type Server = Target & { stop(): Promise<void> }

const START_MS = 120_000

/** Starts a Hearth on the embedded database. */
export async function startOnPglite(): Promise<Server> {
  const hearth = await startHearth()
  return { url: hearth.url, pids: [hearth.pid], stop: () => hearth.dispose() }
}

/** Starts a Hearth on a PostgreSQL of its own, which counts as part of it. */
export async function startOnPostgresql(): Promise<Server> {
  const postgres = await startPostgres()
  const hearth = await startHearth({ databaseUrl: await postgres.createDatabase() })
  return {
    url: hearth.url,
    pids: [hearth.pid, postgres.pid],
    async stop() {
      await hearth.dispose()
      await postgres.stop()
    },
  }
}

/** Starts a Synapse of one process on a PostgreSQL of its own, which counts as part of it. */
export async function startSynapseOnPostgresql(): Promise<Server> {
  requirePsycopg2()
  const postgres = await startPostgres()
  const { hostname: host, port, username: user, pathname } = new URL(await postgres.createDatabase())
  const args = { host, port: Number(port), user, dbname: pathname.slice(1), cp_min: 5, cp_max: 10 }
  const federation = await startFederation()
  const synapse = await startSynapse(federation, { database: { name: 'psycopg2', args } })
  return {
    url: synapse.url,
    pids: [synapse.pid, postgres.pid],
    async stop() {
      await federation.dispose()
      await postgres.stop()
    },
  }
}

function requirePsycopg2(): void {
  try {
    execFileSync(SYNAPSE_PYTHON, ['-c', 'import psycopg2'], { stdio: 'ignore' })
  } catch {
    throw new Error(`Synapse needs psycopg2 for PostgreSQL: ${SYNAPSE_PYTHON} -m pip install psycopg2-binary`)
  }
}

/**
 * Starts another homeserver by a shell command, which has to stay in the foreground, and waits until it responds at
 * `url`. Its CPU time is that of the command's processes. It is killed at the end; what it stores is its own affair.
 */
export async function startByCommand(command: string, url: string): Promise<Server> {
  // As a process group of its own, so that the end reaches what the shell started.
  const child = spawn(command, { shell: true, detached: true, stdio: ['ignore', 'ignore', 'inherit'] })
  const kill = () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
  }
  process.once('exit', kill)
  const isReady = await pollUntil(
    `the server of "${command}" responds at ${url}`,
    async () => {
      // No need to wait for an exited process.
      if (child.exitCode !== null) return 'ended'
      return (await fetch(`${url}/_matrix/client/versions`)).ok
    },
    START_MS,
  )
  if (isReady === 'ended') throw new Error(`"${command}" ended with status ${child.exitCode}`)
  return {
    url,
    pids: [child.pid!],
    async stop() {
      kill()
    },
  }
}
