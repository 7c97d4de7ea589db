import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, loadConfig } from '../config.ts'
import { parseSigningKey } from '../core/signing/signing-key.ts'
import { systemClock } from '../infra/clock.ts'
import { createLogger } from '../infra/logger.ts'
import { openObjectStores } from '../infra/object-store/open-object-stores.ts'
import { systemRandom } from '../infra/random.ts'
import { MasConfigError, readMasConfig } from '../infra/synapse/mas-config.ts'
import { readSynapseConfig, type SynapseConfig, SynapseConfigError } from '../infra/synapse/synapse-config.ts'
import { openSynapseDatabase, type SynapseDatabase } from '../infra/synapse/synapse-database.ts'
import { type CheckFinding, checkSynapse } from '../services/import/check-synapse.ts'
import type { ImportContext } from '../services/import/import-step.ts'
import { checkMas, type MasSource } from '../services/import/mas-source.ts'
import { ChangedSourceError, runImport, type StepProgress } from '../services/import/run-import.ts'
import { readExtent } from '../services/import/synapse-extent.ts'
import { checkProviders } from '../services/import/synapse-providers.ts'
import { verifyImport } from '../services/import/verify-import.ts'
import type { Database } from '../storage/engine/database.ts'
import { migrate } from '../storage/engine/migrate.ts'
import { createNidSource } from '../storage/engine/nids.ts'
import { underLock } from '../storage/engine/session-lock.ts'
import { findImport, wasUsed } from '../storage/import/imports.ts'
import { CommandError, defineCommand, UsageError } from './command.ts'
import { withConfiguredDatabase } from './open-configured.ts'

const ACTIONS = ['check', 'dry-run', 'import', 'verify'] as const
type Action = (typeof ACTIONS)[number]

const LOCK = 'hearth import-synapse'
const CACHE_BYTES = 128 * 1024 ** 2
const PROGRESS_MS = 5000
const MOST_LINES = 50
const CONNECT_MS = 1000

/** Imports the database of a Synapse that was stopped. */
export const importSynapse = defineCommand({
  argument: 'ACTION',
  about:
    'Imports everything from a Synapse that is stopped, whose database is only read. ACTION is check (find what hinders the import), dry-run (import into a temporary database and verify that), import, or verify (compare the import with Synapse before Hearth starts for the first time). An interrupted import continues when it is run again. See docs/migrating-from-synapse.md.',
  options: {
    config: { type: 'string', value: 'FILE', about: "Synapse's homeserver.yaml" },
    'hearth-config': { type: 'string', value: 'FILE', about: "Hearth's configuration file; absent: the defaults" },
    database: {
      type: 'string',
      value: 'ADDRESS',
      about: "postgres:// address or SQLite file, in place of homeserver.yaml's",
    },
    'signing-key': { type: 'string', value: 'FILE', about: "Synapse's signing key, in place of homeserver.yaml's" },
    media: { type: 'string', value: 'FOLDER', about: "Synapse's media store, in place of homeserver.yaml's" },
    'mas-config': {
      type: 'string',
      value: 'FILE',
      about: 'config.yaml of the Matrix Authentication Service, if Synapse uses it',
    },
    'mas-database': { type: 'string', value: 'ADDRESS', about: 'postgres:// address, in place of its' },
  },
  examples: [
    ['import-synapse check --config /etc/matrix-synapse/homeserver.yaml', 'at any time; Synapse may run'],
    ['import-synapse import --config homeserver.yaml --hearth-config hearth.yaml', 'after Synapse was stopped'],
    ['import-synapse verify --config homeserver.yaml --hearth-config hearth.yaml', 'before Hearth is started'],
  ],
  async run({ config: file, 'hearth-config': configFile, 'mas-config': masFile, ...overrides }, action) {
    if (!ACTIONS.includes(action as Action)) throw new UsageError(`Say what to do: one of ${ACTIONS.join(', ')}.`)
    if (file === undefined) throw new UsageError("Say where Synapse's configuration is: --config homeserver.yaml")
    const config = loadConfig({ configFile })
    try {
      const synapse = readSynapseConfig(file, { ...overrides, signingKey: overrides['signing-key'] })
      return await withSynapse(synapse, (databases) =>
        withMas(config, { masFile, masDatabase: overrides['mas-database'] }, (mas) =>
          act(action as Action, config, { synapse, databases, mas }),
        ),
      )
    } catch (error) {
      if (error instanceof SynapseConfigError || error instanceof MasConfigError || error instanceof ChangedSourceError)
        throw new CommandError(error.message)
      throw error
    }
  },
})

type Databases = { main: SynapseDatabase; state: SynapseDatabase }
type Source = { synapse: SynapseConfig; databases: Databases; mas: MasSource | undefined }

async function withSynapse<Result>(
  { databases: { main, state } }: SynapseConfig,
  work: (databases: Databases) => Promise<Result>,
): Promise<Result> {
  const open = async (address: typeof main) => {
    try {
      return await openSynapseDatabase(address)
    } catch (error) {
      throw new CommandError(
        `Cannot open Synapse's database: ${(error as Error).message}. Say where it is with --database.`,
      )
    }
  }
  const opened = await open(main)
  const openedState = state === main ? opened : await open(state)
  try {
    return await work({ main: opened, state: openedState })
  } finally {
    await opened.close()
    if (openedState !== opened) await openedState.close()
  }
}

/** Opens the database of the Matrix Authentication Service, if there is one. */
async function withMas<Result>(
  { identity_providers: providers }: Config,
  { masFile, masDatabase }: { masFile: string | undefined; masDatabase: string | undefined },
  work: (mas: MasSource | undefined) => Promise<Result>,
): Promise<Result> {
  if (masFile === undefined) return work(undefined)
  const config = readMasConfig(masFile, masDatabase)
  const database = await openSynapseDatabase(config.database).catch((error) => {
    throw new CommandError(`Cannot open the database of MAS: ${error.message}. Say where it is with --mas-database.`)
  })
  try {
    return await work({ config, database, providers })
  } finally {
    await database.close()
  }
}

async function act(action: Action, config: Config, source: Source): Promise<number> {
  const findings = [
    ...(await checkSynapse(source.databases.main)),
    ...checkTarget(config, source),
    ...(source.mas
      ? await checkMas(source.mas)
      : await checkProviders(source.databases.main, config.identity_providers)),
  ]
  if (action !== 'verify') {
    const severity = action === 'import' ? 'error' : 'warning'
    findings.push(...(await signsOfLife(source)).map((text) => ({ severity, text }) as const))
  }
  for (const { severity, text } of findings) console.log(`${severity === 'error' ? 'Problem' : 'Warning'}: ${text}`)
  if (findings.some(({ severity }) => severity === 'error')) return 1
  if (action === 'check') {
    console.log('Nothing hinders the import.')
    return 0
  }
  return action === 'dry-run' ? tryOut(config, source) : withTarget(config, source, action)
}

function checkTarget({ server_name, signing_key }: Config, { synapse, mas }: Source): CheckFinding[] {
  const findings: CheckFinding[] = []
  const problem = (text: string) => findings.push({ severity: 'error', text })
  if (server_name !== synapse.serverName)
    problem(
      `Hearth has the server name ${server_name}, Synapse ${synapse.serverName}. Set server_name to Synapse's: it cannot change.`,
    )
  if (existsSync(signing_key) && keyIn(readFileSync(signing_key, 'utf8')) !== keyIn(synapse.signingKeys[0]!))
    problem(`${signing_key} has another signing key than Synapse. Delete it, or replace it by Synapse's.`)
  if (synapse.usesMas && !mas) findings.push({ severity: 'warning', text: MAS_WARNING })
  if (mas && !synapse.usesMas) problem("Synapse's configuration does not use MAS. Leave out --mas-config.")
  return findings
}

const MAS_WARNING =
  'The Matrix Authentication Service has the passwords, addresses and sessions of users. Name its configuration with --mas-config. Otherwise everybody has to sign in again, with a new password or through an identity provider.'

function keyIn(text: string): string {
  const { keyId, publicKey } = parseSigningKey(text)
  return `${keyId} ${publicKey}`
}

/** Returns the signs that Synapse or MAS runs. */
export async function signsOfLife({ synapse, databases: { main }, mas }: Source): Promise<string[]> {
  const signs: string[] = []
  for (const { host, port } of synapse.listeners)
    if (await answers(host, port))
      signs.push(`Port ${port} of ${host} answers, on which Synapse listens. Stop Synapse before the import.`)
  const servers = [{ name: 'Synapse', database: main }, ...(mas ? [{ name: 'MAS', database: mas.database }] : [])]
  for (const { name, database } of servers) {
    const sessions = await database.countSessions()
    if (sessions > 0)
      signs.push(
        `${sessions} other sessions of ${name}'s database user are open. Stop ${name} and all its workers, wherever they run, and other programs that sign in as this user.`,
      )
  }
  return signs
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host, timeout: CONNECT_MS })
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.on('connect', () => end(true))
    socket.on('timeout', () => end(false))
    socket.on('error', () => end(false))
  })
}

/** A temporary database shows what an import would do, and how long it takes. */
async function tryOut(config: Config, source: Source): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-dry-run-'))
  const target = { data_dir: folder, database: { ...config.database, url: undefined } }
  try {
    return await withConfiguredDatabase(
      target,
      async (database) => {
        await migrate(database)
        const context = await contextOf(config, source, { database, stores: undefined })
        await importAll(context)
        return verifyAll(context)
      },
      { cacheBytes: CACHE_BYTES },
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function withTarget(config: Config, source: Source, action: 'import' | 'verify'): Promise<number> {
  const work = async (database: Database) => {
    await migrate(database)
    const stores = await openObjectStores(config.media, createLogger(config.log))
    const context = await contextOf(config, source, { database, stores })
    const known = await findImport(database)
    if (action === 'verify') {
      if (known?.finished_ts == null)
        throw new CommandError('Nothing was imported completely. Run: hearth import-synapse import')
      return verifyAll(context)
    }
    if (!known && (await wasUsed(database)))
      throw new CommandError('A server has used this database. Import into an empty data folder or database.')
    if (known?.finished_ts != null) throw new CommandError('The import into this database is finished.')
    await importAll(context)
    console.log('The import is finished. Run: hearth import-synapse verify')
    return 0
  }
  return withConfiguredDatabase(
    config,
    async (database) => {
      const result = await underLock(database, LOCK, () => work(database))
      if (result === undefined) throw new CommandError('Another import into this database is running.')
      return result
    },
    // One connection has the lock.
    { cacheBytes: CACHE_BYTES, poolSize: 2 },
  )
}

async function contextOf(
  { identity_providers: providers }: Config,
  { synapse, databases, mas }: Source,
  { database, stores }: Pick<ImportContext, 'database' | 'stores'>,
): Promise<ImportContext> {
  let lines = 0
  return {
    database,
    takeNids: createNidSource(),
    random: systemRandom,
    serverName: synapse.serverName,
    synapse,
    ...databases,
    mas,
    providers,
    extent: await readExtent(databases.main),
    stores,
    now: systemClock.now(),
    note(line) {
      lines++
      if (lines <= MOST_LINES) console.log(`Note: ${line}`)
      if (lines === MOST_LINES) console.log('Further notes are not shown.')
    },
  }
}

async function importAll(context: ImportContext): Promise<void> {
  const began = performance.now()
  let shown = began
  await runImport(context, (progress) => {
    const isNews = progress.isDone ? progress.read > 0 : performance.now() - shown > PROGRESS_MS
    if (!isNews) return
    shown = performance.now()
    console.log(describe(progress))
  })
  console.log(`Imported in ${((performance.now() - began) / 1000).toFixed(1)} s.`)
}

function describe({ name, read, stored, total, isDone }: StepProgress): string {
  if (!isDone) return `${name}: ${read}${total === undefined ? '' : ` of ${total}`} …`
  const omitted = read - stored
  return `${name}: ${stored}${omitted > 0 ? `, ${omitted} left out` : ''}`
}

async function verifyAll(context: ImportContext): Promise<number> {
  const { rooms, events, differences } = await verifyImport(context)
  for (const line of differences.slice(0, MOST_LINES)) console.log(`Difference: ${line}`)
  if (differences.length === 0) {
    console.log(
      `Compared the number of all rows, and of ${rooms} rooms the state, the extremities and ${events} events: they agree.`,
    )
    return 0
  }
  console.log(`${differences.length} differences were found.`)
  return 1
}
