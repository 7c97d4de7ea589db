import type { Config } from '../../config.ts'
import type { SynapseDatabase } from '../../infra/synapse/synapse-database.ts'
import type { CheckFinding } from './check-synapse.ts'

type Providers = Config['identity_providers']

/**
 * Returns the id in Hearth's configuration of a provider, undefined if it is not there. `name` is Synapse's: the
 * `idp_id` of its configuration after `oidc-`. Both are accepted as the id; the name comes first.
 */
export function configuredId(providers: Providers, name: string): string | undefined {
  const idpId = name.replace(/^oidc-/, '')
  return [name, idpId].find((wanted) => providers.some(({ id }) => id === wanted))
}

/** SAML has a finding of its own. Links to MAS are not its users' links to providers. */
const WITHOUT_PROVIDER = ['saml', 'oauth-delegated']

/** Finds identity providers through which users of Synapse sign in, and which Hearth's configuration does not have. */
export async function checkProviders(main: SynapseDatabase, providers: Providers): Promise<CheckFinding[]> {
  const rows = await main.query<{ auth_provider: string; count: number }>(
    'select auth_provider, count(*) as count from user_external_ids group by auth_provider order by auth_provider',
  )
  return rows
    .filter(
      ({ auth_provider: name }) => !WITHOUT_PROVIDER.includes(name) && configuredId(providers, name) === undefined,
    )
    .map(({ auth_provider: name, count }) => ({
      severity: 'warning',
      text: `${count} accounts sign in through ${name}. Add it to identity_providers, with the id ${name}.`,
    }))
}
