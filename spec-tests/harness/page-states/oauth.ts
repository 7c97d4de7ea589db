import { askOAuth, authorization, loginScope, registerClient, webClient } from '../oauth-client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const ADMIN_SCOPE = 'urn:matrix:client:api:* urn:synapse:admin:* openid'
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

async function openConsent(tab: PageTab, metadata: object, scope?: string): Promise<void> {
  const { client_name, ...needed } = webClient()
  const client = await registerClient(tab.hearth.url, { ...needed, ...metadata })
  await tab.enter()
  await tab.go(authorization(client, scope === undefined ? {} : { scope }).path)
}

/** Starts a device grant, and returns what the user types. */
async function startGrant({ hearth }: PageTab, client_name: string): Promise<string> {
  const json = { client_uri: 'https://tv.example/', client_name, grant_types: [DEVICE_GRANT, 'refresh_token'] }
  const { client_id } = (await askOAuth(hearth.url, '/oauth2/register', { json })).body
  const form = { client_id, scope: loginScope() }
  return (await askOAuth(hearth.url, '/oauth2/device_authorization', { form })).body.user_code
}

async function openGrant(tab: PageTab, decision?: 'approve' | 'refuse'): Promise<void> {
  const code = await startGrant(tab, 'Television')
  await tab.enter()
  await tab.go(`/device?user_code=${code}`)
  if (decision === undefined) return
  const button = tab.page.locator('form', { has: tab.page.locator(`[name=do][value=${decision}]`) }).locator('button')
  await button.click()
  await tab.page.waitForLoadState()
}

const consent: PageState[] = [
  { name: 'consent', open: (tab) => openConsent(tab, { client_name: 'Example client' }) },
  {
    name: 'consent, long name, administration and links',
    open: (tab) =>
      openConsent(
        tab,
        {
          client_name: 'W'.repeat(200),
          tos_uri: 'https://app.example.org/terms',
          policy_uri: 'https://app.example.org/privacy',
        },
        ADMIN_SCOPE,
      ),
  },
  {
    name: 'authorization of an unknown client',
    open: (tab) => tab.go('/oauth2/authorize?client_id=unknown&redirect_uri=https%3A%2F%2Fevil.example%2F'),
  },
]

const device: PageState[] = [
  {
    name: 'device code',
    async open(tab) {
      await tab.enter()
      await tab.go('/device')
    },
  },
  {
    name: 'device code, unknown',
    async open(tab) {
      await tab.enter()
      await tab.go('/device?user_code=BBBB-BBBB')
    },
  },
  { name: 'device code, found', open: (tab) => openGrant(tab) },
  { name: 'device code, approved', open: (tab) => openGrant(tab, 'approve') },
  { name: 'device code, refused', open: (tab) => openGrant(tab, 'refuse') },
]

/** The pages on which users let clients use their accounts. */
export const OAUTH_PAGES: readonly PageStates[] = [{ states: [...consent, ...device] }]
