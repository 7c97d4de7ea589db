import type { CasProviderConfig, Config, OidcProviderConfig } from '../../config.ts'
import { fetchAnswer, fetchJson } from './fetch-json.ts'
import { type Finding, good, problem } from './finding.ts'

/** Checks that identity providers answer, and that those of OpenID Connect have the configured issuer. */
export function checkIdentityProviders(config: Config): Promise<Finding[]> {
  return Promise.all(
    config.identity_providers.map(async (provider) => {
      const fault = await (provider.kind === 'oidc' ? findOidcFault(config, provider) : findCasFault(config, provider))
      const { id, name } = provider
      if (!fault) return good(`The identity provider ${id} answers`)
      return problem(`Users cannot sign in with ${name} (identity_providers, id ${id}): ${fault.why}.`, fault.fix)
    }),
  )
}

type Fault = { why: string; fix: string }

async function findOidcFault(config: Config, { issuer }: OidcProviderConfig): Promise<Fault | undefined> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const metadata = await fetchJson(config, url)
  if (!metadata.ok) return { why: `${url}: ${metadata.why}`, fix: 'Check issuer, and that the provider runs.' }
  const named = String(metadata.body.issuer)
  if (URL.canParse(named) && new URL(named).href === new URL(issuer).href) return undefined
  return { why: `${url} names the issuer ${named}, not ${issuer}`, fix: `Set issuer to ${named}, if you trust it.` }
}

async function findCasFault(config: Config, { server_url }: CasProviderConfig): Promise<Fault | undefined> {
  const url = `${server_url.replace(/\/$/, '')}/login`
  const answer = await fetchAnswer(config, url, { anyStatus: true })
  const why = answer.ok ? (answer.status === 404 ? 'it answers 404' : undefined) : answer.why
  return why === undefined ? undefined : { why: `${url}: ${why}`, fix: 'Check server_url, and that the server runs.' }
}
