import type { Config } from '../../config.ts'
import { ulidOfUuid } from '../../core/ulid.ts'
import type { MasConfig } from '../../infra/synapse/mas-config.ts'
import type { SynapseDatabase } from '../../infra/synapse/synapse-database.ts'
import { hashWithSecret } from '../../infra/users/password-hasher.ts'
import type { CheckFinding } from './check-synapse.ts'
import { configuredId } from './synapse-providers.ts'

/** The Matrix Authentication Service (MAS) to which Synapse has delegated sign-in. */
export type MasSource = {
  database: SynapseDatabase
  config: MasConfig
  /** Of Hearth's configuration. */
  providers: Config['identity_providers']
}

/** Migrations of MAS: the one that adds the newest column which the import reads, and the newest that was tried. */
const OLDEST_MIGRATION = 20250924132713
const NEWEST_MIGRATION = 20260720134722

/** Finds what hinders an import of MAS's database, or would be lost. */
export async function checkMas(mas: MasSource): Promise<CheckFinding[]> {
  const version = await newestMigration(mas.database)
  if (version === undefined)
    return [{ severity: 'error', text: 'The database of --mas-config is not that of MAS: it has no migrations of it.' }]
  if (version < OLDEST_MIGRATION)
    return [
      {
        severity: 'error',
        text: 'MAS is too old. Upgrade it to a version of October 2025 or later, and start it once.',
      },
    ]
  const texts = [
    ...(version > NEWEST_MIGRATION ? ['The database of MAS is newer than those that were tried.'] : []),
    ...(await passwordFindings(mas)),
    ...(await providerFindings(mas)),
    ...(await clientFindings(mas)),
  ]
  return texts.map((text) => ({ severity: 'warning', text }))
}

async function newestMigration({ query }: SynapseDatabase): Promise<number | undefined> {
  const rows = await query<{ version: number | null }>('select max(version) as version from _sqlx_migrations').catch(
    () => [],
  )
  return rows[0]?.version ?? undefined
}

async function passwordFindings(mas: MasSource): Promise<string[]> {
  const rows = await mas.database.query<{ version: number; count: number }>(
    `select password.version, count(*) as count from users join lateral (select version from user_passwords
      where user_passwords.user_id = users.user_id order by created_at desc limit 1) as password on true
    where deactivated_at is null group by password.version order by password.version`,
  )
  return rows.flatMap(({ version, count }) =>
    isUsable(mas.config, version)
      ? []
      : [
          `${count} users have a password of version ${version}, which Hearth cannot check: pbkdf2, a version that is not in MAS's configuration, or a second secret. They need a new one.`,
        ],
  )
}

/** Hearth has one secret for each algorithm: that of the newest version. */
function newestOf({ schemes }: MasConfig, algorithm: string) {
  return schemes.filter((each) => each.algorithm === algorithm).sort((one, other) => other.version - one.version)[0]
}

/** Returns the secrets with which imported passwords are checked. */
export function secretsOf(config: MasConfig): { pepper: string; argon2: string } {
  return {
    pepper: newestOf(config, 'bcrypt')?.secret.toString() ?? '',
    argon2: newestOf(config, 'argon2id')?.secret.toString('base64') ?? '',
  }
}

function isUsable(config: MasConfig, version: number): boolean {
  const scheme = config.schemes.find((each) => each.version === version)
  if (!scheme || scheme.algorithm === 'pbkdf2') return false
  if (scheme.algorithm === 'argon2id' && scheme.secret.length === 0) return true
  return scheme.secret.equals(newestOf(config, scheme.algorithm)!.secret)
}

/** Returns a password's hash as Hearth stores it; null: Hearth cannot check it. */
export function importedHash(config: MasConfig, { version, hash }: { version: number; hash: string }): string | null {
  if (!isUsable(config, version)) return null
  const { algorithm, secret } = config.schemes.find((each) => each.version === version)!
  return algorithm === 'argon2id' && secret.length > 0 ? hashWithSecret(hash) : hash
}

/** An identity provider in MAS's database. */
export type MasProvider = { id: string; issuer: string | null; client_id: string }

/**
 * Returns the id that a provider of MAS has in Hearth's configuration: the same id, or that of Synapse, or the provider
 * with the same issuer and client. Otherwise the id that it would need there.
 */
export function providerIdOf(
  { config, providers }: Pick<MasSource, 'config' | 'providers'>,
  { id: uuid, issuer, client_id }: MasProvider,
): { id: string; isConfigured: boolean } {
  const ulid = ulidOfUuid(uuid)
  const ofSynapse = config.synapseProviders.get(ulid)
  const known =
    providers.find(({ id }) => id.toUpperCase() === ulid)?.id ??
    (ofSynapse === undefined ? undefined : configuredId(providers, ofSynapse)) ??
    providers.find((each) => each.kind === 'oidc' && each.client_id === client_id && isSame(each.issuer, issuer))?.id
  return { id: known ?? ofSynapse ?? ulid, isConfigured: known !== undefined }
}

function isSame(one: string, other: string | null): boolean {
  return one.replace(/\/$/, '') === other?.replace(/\/$/, '')
}

async function providerFindings(mas: MasSource): Promise<string[]> {
  const rows = await mas.database.query<MasProvider>(
    `select upstream_oauth_provider_id as id, issuer, client_id from upstream_oauth_providers as provider
    where exists (select 1 from upstream_oauth_links as link
      where link.upstream_oauth_provider_id = provider.upstream_oauth_provider_id and user_id is not null)`,
  )
  return rows.flatMap((provider) => {
    const { id, isConfigured } = providerIdOf(mas, provider)
    return isConfigured
      ? []
      : [
          `Users sign in through ${provider.issuer ?? provider.client_id}. Add it to identity_providers, with the id ${id}.`,
        ]
  })
}

async function clientFindings({ database }: MasSource): Promise<string[]> {
  const [row] = await database.query<{ count: number }>(
    `select count(*) as count from oauth2_clients where ${HAS_SECRET}`,
  )
  return row!.count > 0
    ? [`${row!.count} OAuth clients authenticate with a secret. They are left out, with their sessions.`]
    : []
}

/** Condition on the table oauth2_clients: Hearth has only clients without a secret. */
export const HAS_SECRET = "coalesce(token_endpoint_auth_method, 'client_secret_basic') <> 'none'"

/** Returns a text that differs once MAS has issued tokens. */
export async function masFingerprint({ database }: MasSource): Promise<string> {
  const counts = await database.query<{ count: number; last: number | null }>(
    `select count(*) as count, (extract(epoch from max(created_at)) * 1000)::bigint as last from oauth2_access_tokens
    union all select count(*), (extract(epoch from max(created_at)) * 1000)::bigint from compat_access_tokens
    union all select count(*), (extract(epoch from max(created_at)) * 1000)::bigint from users`,
  )
  return ` MAS ${counts.map(({ count, last }) => `${count} ${last ?? 0}`).join(' ')}`
}
