import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../testing/free-port.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import type { TestFederation } from './federation.ts'
import { START_MS } from './hearth.ts'

/** The version that the tests are written against; `setup/install.sh` installs it. */
const VERSION = '1.163.0'
/** The Python that has it. */
export const SYNAPSE_PYTHON =
  process.env.SYNAPSE_PYTHON ?? join(homedir(), '.cache', 'hearth', `synapse-${VERSION}`, 'bin', 'python')

/** A Synapse in a process of its own, with SQLite. */
export type TestSynapse = {
  /** For clients; registration is open. */
  url: string
  /** `localhost:PORT`, its address for other servers. */
  serverName: string
  /** Its local port for other servers. */
  federationPort: number
  /** Its homeserver.yaml, which is JSON. */
  configFile: string
  /** Its SQLite. */
  databaseFile: string
  pid: number
  /** Returns its log. */
  output(): string
  /** Kills it, as a crash would; `restart` starts it again with the same data. */
  kill(): Promise<void>
  restart(): Promise<void>
}

/**
 * Starts a Synapse that federates with the others of a test federation; it stops with them. `config`: further keys of
 * homeserver.yaml.
 */
export async function startSynapse(
  federation: TestFederation,
  config: { server_name?: string; [key: string]: unknown } = {},
): Promise<TestSynapse> {
  requirePython()
  const folder = mkdtempSync(join(tmpdir(), 'hearth-synapse-'))
  const [clientPort, serverPort] = [await freePort(), await freePort()]
  const serverName = config.server_name ?? `localhost:${serverPort}`
  const url = `http://127.0.0.1:${clientPort}`
  const configFile = join(folder, 'homeserver.yaml')
  writeFileSync(join(folder, 'signing.key'), `ed25519 a_test ${randomBytes(32).toString('base64').replace('=', '')}\n`)
  writeFileSync(join(folder, 'log.yaml'), JSON.stringify(LOGGING))
  const settings = { ...settingsFor(federation, { folder, serverName, clientPort, serverPort }), ...config }
  writeFileSync(configFile, JSON.stringify(settings))
  let child: ChildProcess
  let output = ''

  async function start(): Promise<void> {
    child = spawn(SYNAPSE_PYTHON, ['-m', 'synapse.app.homeserver', '--config-path', configFile], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
    await pollUntil(
      'Synapse answers',
      async () => {
        // No need to wait for an exited process.
        if (child.exitCode !== null) return 'ended'
        return (await fetch(`${url}/_matrix/client/versions`)).ok
      },
      START_MS,
    ).catch(() => child.kill('SIGKILL'))
    if (child.exitCode !== null || child.killed) throw new Error(`Synapse does not start:\n${output}`)
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  await start()
  federation.onDispose(async () => {
    await kill()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    url,
    serverName,
    federationPort: serverPort,
    configFile,
    databaseFile: databaseIn(folder),
    get pid() {
      return child.pid!
    },
    output: () => output,
    kill,
    restart: start,
  }
}

function requirePython(): void {
  if (existsSync(SYNAPSE_PYTHON)) return
  throw new Error(
    `There is no Synapse ${VERSION}: ${SYNAPSE_PYTHON} is missing. spec-tests/setup/install.sh installs it.`,
  )
}

/** Runs a script of this folder with Synapse's Python, and returns its output. */
export function runWithSynapse(script: string, input: string): string {
  requirePython()
  const file = fileURLToPath(new URL(script, import.meta.url))
  return execFileSync(SYNAPSE_PYTHON, [file], { input, encoding: 'utf8', maxBuffer: 2 ** 28 })
}

function databaseIn(folder: string): string {
  return join(folder, 'homeserver.db')
}

const LOGGING = {
  version: 1,
  formatters: { line: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } },
  handlers: { console: { class: 'logging.StreamHandler', formatter: 'line' } },
  root: { level: 'INFO', handlers: ['console'] },
  disable_existing_loggers: false,
}

const UNLIMITED = { per_second: 9999, burst_count: 9999 }

function settingsFor(
  { authority }: TestFederation,
  at: { folder: string; serverName: string; clientPort: number; serverPort: number },
): object {
  const { certificate, key } = authority.issue('localhost')
  const resources = [{ names: ['client', 'federation'] }]
  return {
    server_name: at.serverName,
    public_baseurl: `http://127.0.0.1:${at.clientPort}/`,
    pid_file: join(at.folder, 'homeserver.pid'),
    log_config: join(at.folder, 'log.yaml'),
    signing_key_path: join(at.folder, 'signing.key'),
    media_store_path: join(at.folder, 'media'),
    macaroon_secret_key: 'only for tests',
    database: { name: 'sqlite3', args: { database: databaseIn(at.folder) } },
    listeners: [
      { port: at.clientPort, type: 'http', bind_addresses: ['127.0.0.1'], resources },
      { port: at.serverPort, type: 'http', tls: true, bind_addresses: ['127.0.0.1', '::1'], resources },
    ],
    tls_certificate_path: certificate,
    tls_private_key_path: key,
    federation_custom_ca_list: [authority.certificate],
    ip_range_blacklist: [],
    federation_ip_range_blacklist: [],
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    report_stats: false,
    bcrypt_rounds: 4,
    enable_registration: true,
    enable_registration_without_verification: true,
    allow_device_name_lookup_over_federation: true,
    allow_public_rooms_over_federation: true,
    enable_room_list_search: true,
    room_list_publication_rules: [{ action: 'allow' }],
    soft_file_limit: 0,
    rc_federation: { window_size: 1000, sleep_limit: 1000, sleep_delay: 500, reject_limit: 9999, concurrent: 100 },
    federation_rr_transactions_per_room_per_second: 9999,
    rc_message: UNLIMITED,
    rc_registration: UNLIMITED,
    rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
    rc_joins: { local: UNLIMITED, remote: UNLIMITED },
    rc_joins_per_room: UNLIMITED,
    rc_room_creation: UNLIMITED,
    rc_user_directory: UNLIMITED,
    rc_invites: { per_room: UNLIMITED, per_user: UNLIMITED, per_issuer: UNLIMITED },
  }
}
