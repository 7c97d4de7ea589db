import type { Dispatcher } from 'undici'
import type { ProviderConfig } from '../../config.ts'
import type { Clock } from '../clock.ts'
import { createCasProvider } from './cas-provider.ts'
import { createOidcProvider } from './oidc-provider.ts'
import { createProviderFetch } from './provider-fetch.ts'
import type { UpstreamProvider } from './upstream-provider.ts'

/** The identity providers of the configuration by id, in its order. Nothing is requested before a person signs in. */
export type UpstreamProviders = ReadonlyMap<string, UpstreamProvider>

/** `dispatcher`: connections to hosts in the configuration, which may be private addresses. */
export function createUpstreamProviders(
  configs: readonly ProviderConfig[],
  clock: Clock,
  dispatcher: Dispatcher,
): UpstreamProviders {
  const how = { fetch: createProviderFetch(dispatcher), clock }
  return new Map(
    configs.map((config) => [
      config.id,
      config.kind === 'cas' ? createCasProvider(config, how) : createOidcProvider(config, how),
    ]),
  )
}
