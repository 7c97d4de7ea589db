import { accessSync, constants, existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { z } from 'zod'
import { type Config, completeConfig } from './config/complete.ts'
import { ConfigError } from './config/config-error.ts'
import { applyEnvironment, CONFIG_FILE_VARIABLE, type Environment } from './config/environment.ts'
import { type ConfigTree, readConfigFile, whyUnreadable } from './config/file.ts'
import { readJwtKey } from './config/jwt.ts'
import { describeIssue, type Locate, problemAt } from './config/problems.ts'
import { configSchema } from './config/schema.ts'

export type { Config, ListenerConfig } from './config/complete.ts'
export { ConfigError } from './config/config-error.ts'
export type { CasProviderConfig, OidcProviderConfig, ProviderConfig } from './config/identity-providers.ts'

/**
 * Reads the configuration: the file named here or in HEARTH_CONFIG, if any, overridden by the HEARTH_ variables. Throws
 * ConfigError if either is invalid or a file that it names is unreadable. `warn` gets one line about unknown variables.
 */
export function loadConfig(
  from: { configFile?: string | undefined; env?: Environment; warn?: (line: string) => void } = {},
): Config {
  const env = from.env ?? process.env
  const file = from.configFile ?? env[CONFIG_FILE_VARIABLE]
  const { tree, locate: locateInFile } = file === undefined ? nothing() : readConfigFile(file)
  const { setBy, ignored } = applyEnvironment(tree, env)
  if (ignored.length > 0) {
    const warn = from.warn ?? console.error
    warn(`Unknown environment variables have no effect: ${ignored.join(', ')}`)
  }
  const locate: Locate = (path) => variableFor(path, setBy) ?? locateInFile(path)
  const parsed = configSchema.safeParse(tree)
  if (!parsed.success) throw new ConfigError(parsed.error.issues.flatMap((issue) => describeIssue(issue, locate)))
  const missing = unreadableAppservices(parsed.data.appservices, locate)
  if (missing.length > 0) throw new ConfigError(missing)
  const config = completeConfig(parsed.data, locate)
  const faults = [
    ...unreadableFiles(config, tree, locate),
    ...repeatedListeners(config, locate),
    ...missingSenders(config, locate),
    ...noWayToSignIn(config, locate),
    ...unusableJwtKey(config, locate),
  ]
  if (faults.length > 0) throw new ConfigError(faults)
  return config
}

/**
 * Returns the files of the configuration that exist, by the names under which a backup keeps them: the configuration
 * file, the registrations of application services, and the signing key.
 */
export function configurationFiles(
  config: Config,
  from: { configFile?: string | undefined; env?: Environment } = {},
): Map<string, string> {
  const env = from.env ?? process.env
  const file = from.configFile ?? env[CONFIG_FILE_VARIABLE]
  const { tree } = file === undefined ? nothing() : readConfigFile(file)
  applyEnvironment(tree, env)
  const { appservices } = configSchema.parse(tree)
  const files: [name: string, path: string][] = [
    ...(file === undefined ? [] : [['config/hearth.yaml', file] as [string, string]]),
    ['config/signing.key', config.signing_key],
    ...appservices.map((path, at): [string, string] => [`config/appservices/${at + 1}-${basename(path)}`, path]),
  ]
  return new Map(files.filter(([, path]) => existsSync(path)))
}

/**
 * Returns the configuration with these keys, written as in the file, and defaults for all others; for tests and
 * benchmarks.
 */
export function defaultConfig(overrides: z.input<typeof configSchema> = {}): Config {
  return completeConfig(configSchema.parse(overrides), nothing().locate)
}

function nothing(): { tree: ConfigTree; locate: Locate } {
  return { tree: {}, locate: () => 'configuration' }
}

function variableFor(path: readonly PropertyKey[], setBy: ReadonlyMap<string, string>): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const variable = setBy.get(path.slice(0, length).join('.'))
    if (variable) return variable
  }
  return undefined
}

/** Checks the signing key only if the configuration names it: the default file may not exist. */
function unreadableFiles(config: Config, tree: ConfigTree, locate: Locate): string[] {
  const key = tree.signing_key === undefined ? [] : [{ path: ['signing_key'], file: config.signing_key }]
  const certificates = config.listeners.flatMap(({ tls }, index) =>
    tls ? Object.entries(tls).map(([name, file]) => ({ path: ['listeners', index, 'tls', name], file })) : [],
  )
  const trusted = config.federation.trusted_certificates.map((file, index) => ({
    path: ['federation', 'trusted_certificates', index],
    file,
  }))
  const { logo } = config.branding
  const logos = logo === undefined ? [] : [{ path: ['branding', 'logo'], file: logo }]
  const ldap = config.ldap.ca === undefined ? [] : [{ path: ['ldap', 'ca'], file: config.ldap.ca }]
  return problemsOf([...key, ...certificates, ...trusted, ...logos, ...ldap], locate)
}

function unreadableAppservices(files: readonly string[], locate: Locate): string[] {
  return problemsOf(
    files.map((file, index) => ({ path: ['appservices', index], file: resolve(file) })),
    locate,
  )
}

function problemsOf(files: readonly { path: PropertyKey[]; file: string }[], locate: Locate): string[] {
  return files.flatMap(({ path, file }) => {
    try {
      accessSync(file, constants.R_OK)
      return []
    } catch (error) {
      return [problemAt(locate, path, `cannot read ${file}: ${whyUnreadable(error)}`)]
    }
  })
}

function repeatedListeners({ listeners }: Config, locate: Locate): string[] {
  return listeners.flatMap(({ bind, port }, index) => {
    const first = listeners.findIndex((other) => other.bind === bind && other.port === port)
    if (port === 0 || first === index) return []
    return [
      problemAt(
        locate,
        ['listeners', index],
        `${bind}:${port} is also the address of listeners.${first}; choose another port`,
      ),
    ]
  })
}

function unusableJwtKey({ jwt }: Config, locate: Locate): string[] {
  if (jwt.algorithm === undefined) return []
  try {
    readJwtKey(jwt)
    return []
  } catch (error) {
    const isUnread = (error as NodeJS.ErrnoException).syscall !== undefined
    const why = isUnread
      ? `cannot read ${jwt.public_key}: ${whyUnreadable(error)}`
      : `cannot use ${jwt.public_key}: ${(error as Error).message}`
    return [problemAt(locate, ['jwt', 'public_key'], why)]
  }
}

/** Without passwords, users need a provider, and nobody could register. */
function noWayToSignIn({ sign_in, identity_providers, registration }: Config, locate: Locate): string[] {
  if (sign_in.passwords !== 'disabled') return []
  const hint = (path: string[], message: string) => problemAt(locate, path, message)
  return [
    ...(identity_providers.length > 0 ? [] : [hint(['sign_in', 'passwords'], 'disabled needs identity_providers')]),
    ...(registration.enabled
      ? [hint(['registration', 'enabled'], 'needs passwords, which sign_in.passwords disables')]
      : []),
  ]
}

function missingSenders({ registration, account_validity, alerts, email, phone }: Config, locate: Locate): string[] {
  const faults = (key: string, message: string) => [problemAt(locate, ['registration', key], message)]
  const { period, renew_by_mail } = account_validity
  return [
    ...(registration.requires_email && email.smtp_url === undefined
      ? faults('requires_email', 'needs email.smtp_url to send confirmation mails')
      : []),
    ...(registration.requires_phone && phone.gateway_url === undefined
      ? faults('requires_phone', 'needs phone.gateway_url to send codes')
      : []),
    ...(period !== undefined && renew_by_mail && email.smtp_url === undefined
      ? [
          problemAt(
            locate,
            ['account_validity', 'renew_by_mail'],
            'needs email.smtp_url to send the links; false if only administrators renew accounts',
          ),
        ]
      : []),
    ...(alerts.email.length > 0 && email.smtp_url === undefined
      ? [problemAt(locate, ['alerts', 'email'], 'needs email.smtp_url to send alerts')]
      : []),
  ]
}
