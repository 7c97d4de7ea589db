import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { ClientConfig } from 'pg'
import { parse } from 'yaml'
import { z } from 'zod'
import type { SynapseDatabaseAddress } from './synapse-database.ts'

/** The part of the configuration of the Matrix Authentication Service (MAS) that an import needs. */
export type MasConfig = {
  database: SynapseDatabaseAddress
  schemes: PasswordScheme[]
  /** The `idp_id` that a provider had in Synapse, by the provider's id. */
  synapseProviders: ReadonlyMap<string, string>
}

/** How passwords of a version are hashed; secret: what the hashes contain besides the password. */
export type PasswordScheme = { version: number; algorithm: 'argon2id' | 'bcrypt' | 'pbkdf2'; secret: Buffer }

/** The file cannot be used. The message says why. */
export class MasConfigError extends Error {
  override readonly name = 'MasConfigError'
}

const scheme = z.looseObject({
  version: z.int(),
  algorithm: z.enum(['argon2id', 'bcrypt', 'pbkdf2']).default('argon2id'),
  secret: z.string().optional(),
  secret_file: z.string().optional(),
})

const schema = z.looseObject({
  database: z
    .looseObject({
      uri: z.string().optional(),
      host: z.string().optional(),
      port: z.int().optional(),
      socket: z.string().optional(),
      username: z.string().optional(),
      password: z.string().optional(),
      password_file: z.string().optional(),
      database: z.string().optional(),
      ssl_mode: z.string().optional(),
    })
    .default({}),
  passwords: z.looseObject({ schemes: z.array(scheme).optional() }).default({}),
  upstream_oauth2: z
    .looseObject({
      providers: z.array(z.looseObject({ id: z.string(), synapse_idp_id: z.string().optional() })).default([]),
    })
    .default({ providers: [] }),
})

type Parsed = z.infer<typeof schema>

/** Reads the configuration of MAS. Relative paths start at its folder. Throws MasConfigError. */
export function readMasConfig(file: string, database?: string): MasConfig {
  const folder = dirname(resolve(file))
  const result = schema.safeParse(read(file, () => parse(readFileSync(file, 'utf8'))))
  if (!result.success) {
    const issue = result.error.issues[0]
    throw new MasConfigError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const { passwords, upstream_oauth2, ...parsed } = result.data
  const bytes = (path: string) => read(path, () => readFileSync(resolve(folder, path)))
  return {
    database: {
      engine: 'postgresql',
      connection:
        database === undefined ? connectionTo(parsed.database, (path) => bytes(path).toString().trim()) : at(database),
    },
    schemes: (passwords.schemes ?? [{ version: 1, algorithm: 'argon2id' as const }]).map(
      ({ version, algorithm, secret, secret_file }) => ({
        version,
        algorithm,
        secret: secret_file === undefined ? Buffer.from(secret ?? '') : bytes(secret_file),
      }),
    ),
    synapseProviders: new Map(
      upstream_oauth2.providers.flatMap(({ id, synapse_idp_id }) =>
        synapse_idp_id === undefined ? [] : [[id.toUpperCase(), synapse_idp_id]],
      ),
    ),
  }
}

function read<Result>(file: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw new MasConfigError(`Cannot read ${file}: ${(error as Error).message}`)
  }
}

function connectionTo(given: Parsed['database'], readText: (path: string) => string): ClientConfig {
  const { uri, host, port, socket, username, password, password_file, database, ssl_mode = '' } = given
  if (uri !== undefined) return at(uri)
  if (host === undefined && socket === undefined && database === undefined) return at('postgresql://')
  return {
    ...(username !== undefined && { user: username }),
    ...(password_file !== undefined ? { password: readText(password_file) } : password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ...((socket ?? host) !== undefined && { host: socket ?? host }),
    ...(port !== undefined && { port }),
    ...(['require', 'verify-ca', 'verify-full'].includes(ssl_mode) && {
      ssl: { rejectUnauthorized: ssl_mode !== 'require' },
    }),
  } as ClientConfig
}

function at(connectionString: string): ClientConfig {
  return { connectionString }
}
