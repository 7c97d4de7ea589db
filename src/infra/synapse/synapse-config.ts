import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { isServerName, type ServerName } from '../../core/ids.ts'
import { parseSigningKey } from '../../core/signing/signing-key.ts'
import type { SynapseDatabaseAddress } from './synapse-database.ts'

/** The part of Synapse's configuration that an import needs. */
export type SynapseConfig = {
  serverName: ServerName
  /** Of the main tables, and of the state groups. */
  databases: { main: SynapseDatabaseAddress; state: SynapseDatabaseAddress }
  /** The text that password hashes contain after the password. */
  pepper: string
  /** The first line signs. */
  signingKeys: string[]
  oldSigningKeys: { keyId: string; publicKey: string; expiredTs: number }[]
  mediaFolder: string
  /** Whether the Matrix Authentication Service has the passwords and sessions. */
  usesMas: boolean
  /** Where Synapse listens while it runs. */
  listeners: { host: string; port: number }[]
}

/** Values that replace those of the file, where paths and hosts differ from those that Synapse sees. */
export type SynapseOverrides = {
  database?: string | undefined
  media?: string | undefined
  signingKey?: string | undefined
}

/** The file cannot be used. The message says why. */
export class SynapseConfigError extends Error {
  override readonly name = 'SynapseConfigError'
}

const database = z.looseObject({
  name: z.enum(['sqlite3', 'psycopg2']),
  args: z.record(z.string(), z.unknown()).default({}),
  data_stores: z.array(z.string()).optional(),
})

const schema = z.looseObject({
  server_name: z.string().refine(isServerName, 'is no server name'),
  database: database.optional(),
  databases: z.record(z.string(), database).optional(),
  password_config: z.looseObject({ pepper: z.string().nullish() }).nullish(),
  signing_key_path: z.string().optional(),
  signing_key: z.string().optional(),
  old_signing_keys: z.record(z.string(), z.looseObject({ key: z.string(), expired_ts: z.number() })).nullish(),
  matrix_authentication_service: z.looseObject({ enabled: z.boolean().optional() }).nullish(),
  experimental_features: z
    .looseObject({ msc3861: z.looseObject({ enabled: z.boolean().optional() }).nullish() })
    .nullish(),
  media_store_path: z.string().default('media_store'),
  listeners: z
    .array(
      z.looseObject({
        port: z.int().optional(),
        bind_address: z.string().optional(),
        bind_addresses: z.array(z.string()).optional(),
      }),
    )
    .default([]),
})

type Parsed = z.infer<typeof schema>

/**
 * Reads homeserver.yaml, and the files of `conf.d` beside it, which Debian's package adds. Relative paths start at its
 * folder. Throws SynapseConfigError.
 */
export function readSynapseConfig(file: string, overrides: SynapseOverrides = {}): SynapseConfig {
  const folder = dirname(resolve(file))
  const result = schema.safeParse(Object.assign({}, ...[file, ...filesOfDebian(folder)].map(readYaml)))
  if (!result.success) {
    const issue = result.error.issues[0]
    throw new SynapseConfigError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const parsed = result.data
  return {
    serverName: parsed.server_name,
    databases: databasesIn(file, parsed, overrides.database),
    pepper: parsed.password_config?.pepper ?? '',
    signingKeys: signingKeysIn(parsed, { folder, override: overrides.signingKey }),
    oldSigningKeys: Object.entries(parsed.old_signing_keys ?? {}).map(([keyId, { key, expired_ts }]) => ({
      keyId,
      publicKey: key,
      expiredTs: expired_ts,
    })),
    mediaFolder: resolve(folder, overrides.media ?? parsed.media_store_path),
    usesMas:
      parsed.matrix_authentication_service?.enabled === true || parsed.experimental_features?.msc3861?.enabled === true,
    listeners: parsed.listeners.flatMap(addressesOf),
  }
}

/** A listener on all addresses is also on that of this machine. */
const ALL_ADDRESSES = new Set(['', '0.0.0.0', '::'])

function addressesOf({ port, bind_address, bind_addresses = [] }: Parsed['listeners'][number]) {
  if (port === undefined) return []
  const bound = [...bind_addresses, ...(bind_address === undefined ? [] : [bind_address])]
  const named = bound.filter((host) => !ALL_ADDRESSES.has(host))
  return [...new Set(['127.0.0.1', ...named])].map((host) => ({ host, port }))
}

function filesOfDebian(folder: string): string[] {
  const more = join(folder, 'conf.d')
  if (!existsSync(more)) return []
  return readdirSync(more)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => join(more, name))
}

function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new SynapseConfigError(`Cannot read ${file}: ${(error as Error).message}`)
  }
}

function databasesIn(file: string, parsed: Parsed, override: string | undefined): SynapseConfig['databases'] {
  if (override !== undefined) {
    const address = addressOfText(override)
    return { main: address, state: address }
  }
  if (parsed.database) {
    const address = addressOf(file, parsed.database)
    return { main: address, state: address }
  }
  const all = Object.values(parsed.databases ?? {})
  const having = (store: string) => all.find((each) => (each.data_stores ?? ['main', 'state']).includes(store))
  const [main, state] = [having('main'), having('state')]
  if (!main || !state) throw new SynapseConfigError(`${file}: it has no database`)
  return { main: addressOf(file, main), state: addressOf(file, state) }
}

function addressOfText(text: string): SynapseDatabaseAddress {
  return /^postgres(ql)?:\/\//.test(text)
    ? { engine: 'postgresql', connection: { connectionString: text } }
    : { engine: 'sqlite', file: resolve(text) }
}

function addressOf(file: string, { name, args }: z.infer<typeof database>): SynapseDatabaseAddress {
  const text = (...names: string[]) => {
    const value = names.map((each) => args[each]).find((each) => each !== undefined && each !== null)
    return value === undefined ? undefined : String(value)
  }
  if (name === 'sqlite3') {
    const path = text('database')
    if (path === undefined) throw new SynapseConfigError(`${file}: database.args.database is missing`)
    return { engine: 'sqlite', file: resolve(dirname(resolve(file)), path) }
  }
  const dsn = text('dsn')
  if (dsn !== undefined && /^postgres/.test(dsn)) return { engine: 'postgresql', connection: { connectionString: dsn } }
  const port = text('port')
  const connection = {
    user: text('user'),
    password: text('password'),
    database: text('dbname', 'database'),
    host: text('host'),
    ...(port !== undefined && { port: Number(port) }),
    ...(['require', 'verify-ca', 'verify-full'].includes(text('sslmode') ?? '') && {
      ssl: { rejectUnauthorized: text('sslmode') !== 'require' },
    }),
  }
  return { engine: 'postgresql', connection }
}

function signingKeysIn(
  parsed: Parsed,
  { folder, override }: { folder: string; override: string | undefined },
): string[] {
  const path = resolve(folder, override ?? parsed.signing_key_path ?? `${parsed.server_name}.signing.key`)
  const text = parsed.signing_key !== undefined && override === undefined ? parsed.signing_key : readText(path)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0) throw new SynapseConfigError(`${path} has no signing key`)
  for (const line of lines) parseSigningKey(line)
  return lines
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SynapseConfigError(
      `Cannot read the signing key ${path}: ${(error as Error).message}. Say where it is with --signing-key.`,
    )
  }
}
