import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasTemplate, templatePath } from '../../testing/database-template.ts'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** The command `hearth`. */
export const PROGRAM = join(ROOT, 'bin', 'hearth')
const NODE = join(ROOT, 'node_modules', '.bin', 'node')
const MAKE_TEMPLATE = join(ROOT, 'src', 'testing', 'make-template.ts')

/** A Hearth in a process of its own. */
export type TestHearth = {
  url: string
  serverName: string
  /** Its port for other servers, if any. */
  federationPort: number | undefined
  /** Its configuration file, for commands. */
  configFile: string
  pid: number
  /** Returns its output. */
  output(): string
  /** Sends a signal and waits for the exit. SIGTERM: gracefully. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts it again with the same data and port, after `kill`. */
  restart(): Promise<void>
  /** Stops it and removes its data. */
  dispose(): Promise<void>
}

export type HearthOptions = {
  /** PostgreSQL; absent: the embedded database. */
  databaseUrl?: string
  /** Further keys of the configuration file. */
  config?: Record<string, unknown>
  /** How many processes one supervisor runs; needs PostgreSQL. Default: one process without a supervisor. */
  processes?: number
  /** Arguments for node itself, such as `--cpu-prof`. */
  nodeArguments?: string[]
  serverName?: string
  /** The host in its public base URL, such as localhost, which passkeys need; default: 127.0.0.1. */
  publicHost?: string
  /** Its port for other servers on localhost (or the address of `bind`), with TLS. */
  federation?: { bind?: string; port: number; tls: { certificate: string; key: string } }
  /** Its port for clients; default: a free one. */
  clientPort?: number
  /** Runs before the first start, when the data folder has an empty database. */
  beforeStart?(configFile: string): Promise<void>
}

/** How long a start may take on a busy machine. */
export const START_MS = 240_000

/** Registration shared secret of test servers. */
export const SHARED_SECRET = 'a secret that only tests know'

/** Runs `hearth start` with open registration, cheap passwords and no rate limits; resolves once it responds. */
export async function startHearth(options: HearthOptions = {}): Promise<TestHearth> {
  const serverName = options.serverName ?? 'hearth.test'
  const folder = mkdtempSync(join(tmpdir(), 'hearth-test-'))
  const port = options.clientPort ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const configFile = join(folder, 'hearth.yaml')
  writeFileSync(configFile, JSON.stringify(configuration(options, { folder, port, url })))
  if (!options.databaseUrl) await placeDatabase(join(folder, 'data'))
  await options.beforeStart?.(configFile)
  let child: ChildProcess
  let output = ''

  async function start(): Promise<void> {
    const processes = options.processes === undefined ? [] : ['--processes', String(options.processes)]
    child = spawn(PROGRAM, ['start', '--config', configFile, ...processes], {
      cwd: ROOT,
      env: { ...process.env, ...(options.nodeArguments && { NODE_OPTIONS: options.nodeArguments.join(' ') }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
    await pollUntil(
      'Hearth answers',
      async () => {
        // No need to wait for an exited process.
        if (child.exitCode !== null) return 'ended'
        return (await fetch(`${url}/_matrix/client/versions`)).ok
      },
      START_MS,
    ).catch(() => child.kill('SIGKILL'))
    if (child.exitCode !== null || child.killed) throw new Error(`Hearth does not start:\n${output}`)
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  await start()
  return {
    url,
    serverName,
    configFile,
    federationPort: options.federation?.port,
    get pid() {
      return child.pid!
    },
    output: () => output,
    kill,
    restart: start,
    async dispose() {
      await kill('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Copies an empty migrated database into a data folder: creating one takes many times as long as starting a server. */
export async function placeDatabase(dataFolder: string): Promise<void> {
  const folder = join(dataFolder, 'database')
  if (!hasTemplate()) execFileSync(NODE, [MAKE_TEMPLATE], { stdio: 'pipe' })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  execFileSync('tar', ['-xf', templatePath(), '-C', folder], { stdio: 'pipe' })
}

function configuration(options: HearthOptions, at: { folder: string; port: number; url: string }): object {
  return {
    server_name: options.serverName ?? 'hearth.test',
    data_dir: join(at.folder, 'data'),
    public_base_url: at.url.replace('127.0.0.1', options.publicHost ?? '127.0.0.1'),
    listeners: [
      { bind: '127.0.0.1', port: at.port, serves: ['client', 'media', 'admin', 'metrics'] },
      ...(options.federation ? [{ bind: 'localhost', serves: ['federation', 'media'], ...options.federation }] : []),
    ],
    registration: { enabled: true, shared_secret: SHARED_SECRET },
    passwords: { memory_kib: 64, iterations: 1 },
    rate_limits: { enabled: false },
    server_notices: { localpart: 'notices' },
    // The machine of tests may be busy or full, and their certificates expire soon.
    alerts: { notices: false },
    // The servers in tests with which Hearth federates, and pages for previews, are on this machine.
    federation: { allow_private_addresses: true },
    url_previews: { allow_private_addresses: true },
    log: { level: 'warn' },
    ...options.config,
    ...(options.databaseUrl && { database: { ...(options.config?.database as object), url: options.databaseUrl } }),
  }
}
