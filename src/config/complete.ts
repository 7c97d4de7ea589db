import { join, resolve } from 'node:path'
import type { z } from 'zod'
import type { Appservice } from '../core/appservice.ts'
import { withoutTrailingSlashes } from '../core/text/trailing-slashes.ts'
import { readAppservices } from './appservices.ts'
import { type CallsConfig, completeCalls } from './complete-calls.ts'
import { completeMedia, type MediaConfig } from './complete-media.ts'
import { completeProviders } from './complete-providers.ts'
import type { ProviderConfig } from './identity-providers.ts'
import type { Locate } from './problems.ts'
import { readSecret } from './read-secret.ts'
import type { configSchema } from './schema.ts'

type Parsed = z.output<typeof configSchema>
type ParsedListener = Parsed['listeners'][number]

/** One address to listen on. `trusted_proxies`: how many entries at the end of X-Forwarded-For are trusted; 0: none. */
export type ListenerConfig = Omit<ParsedListener, 'trust_forwarded_for'> & { trusted_proxies: number }

/**
 * The configuration with all defaults filled in: absolute paths, sizes in bytes, durations in milliseconds, URLs
 * without a trailing slash.
 */
export type Config = Omit<
  Parsed,
  | 'listeners'
  | 'public_base_url'
  | 'signing_key'
  | 'media'
  | 'appservices'
  | 'identity_providers'
  | 'calls'
  | 'spam_checks'
> & {
  listeners: ListenerConfig[]
  public_base_url: string
  signing_key: string
  media: MediaConfig
  /** The contents of the registration files. */
  appservices: Appservice[]
  identity_providers: ProviderConfig[]
  calls: CallsConfig
  /** With the token from its file. */
  spam_checks: Omit<Parsed['spam_checks'], 'token_file'>
}

/**
 * Fills in the defaults that depend on other keys, and reads the registrations of application services. Throws
 * ConfigError for invalid registrations; `locate` gives the place of a key.
 */
export function completeConfig(parsed: Parsed, locate: Locate): Config {
  const dataDir = resolve(parsed.data_dir)
  return {
    ...parsed,
    data_dir: dataDir,
    listeners: parsed.listeners.map(completeListener),
    public_base_url: parsed.public_base_url ?? usualBaseUrl(parsed),
    signing_key: resolve(parsed.signing_key ?? join(dataDir, 'signing.key')),
    appservices: readAppservices(
      parsed.appservices.map((file) => resolve(file)),
      parsed.server_name,
      locate,
    ),
    branding: { ...parsed.branding, logo: parsed.branding.logo && resolve(parsed.branding.logo) },
    calls: completeCalls(parsed.calls, locate),
    identity_providers: completeProviders(parsed.identity_providers, locate),
    federation: {
      ...parsed.federation,
      trusted_certificates: parsed.federation.trusted_certificates.map((file) => resolve(file)),
    },
    jwt: { ...parsed.jwt, public_key: parsed.jwt.public_key && resolve(parsed.jwt.public_key) },
    ldap: { ...parsed.ldap, ca: parsed.ldap.ca === undefined ? undefined : resolve(parsed.ldap.ca) },
    media: completeMedia(parsed.media, dataDir, locate),
    spam_checks: completeSpamChecks(parsed.spam_checks, locate),
  }
}

/** Whether only this machine can connect to an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function completeListener(listener: ParsedListener): ListenerConfig {
  const tls = listener.tls && { certificate: resolve(listener.tls.certificate), key: resolve(listener.tls.key) }
  const { trust_forwarded_for, trusted_proxies = 1, ...rest } = listener
  const isTrusted = trust_forwarded_for ?? (listener.trusted_proxies !== undefined || isLoopback(listener.bind))
  return { ...rest, tls, trusted_proxies: isTrusted ? trusted_proxies : 0 }
}

function completeSpamChecks({ token_file: file, ...rest }: Parsed['spam_checks'], locate: Locate) {
  const token = file === undefined ? rest.token : readSecret(file, locate, ['spam_checks', 'token_file'])
  return { ...rest, url: rest.url && withoutTrailingSlashes(rest.url), token }
}

function usualBaseUrl({ server_name, listeners }: Parsed): string {
  const host = server_name.replace(/:\d+$/, '')
  if (!isLoopback(host)) return `https://${host}`
  const listener = listeners.find(({ serves }) => serves.includes('client')) ?? listeners[0]!
  return `${listener.tls ? 'https' : 'http'}://${host}:${listener.port}`
}
