import { registerDeviceClient, startDevice } from '../device-grant.ts'
import { authorization, registerClient, webClient } from '../oauth-client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const ADMIN_SCOPE = 'urn:matrix:client:api:* urn:synapse:admin:* openid'

async function openConsent(tab: PageTab, metadata: object, scope?: string): Promise<void> {
  const { client_name, ...needed } = webClient()
  const client = await registerClient(tab.hearth.url, { ...needed, ...metadata })
  await tab.enter()
  await tab.go(authorization(client, scope === undefined ? {} : { scope }).path)
}

/** Shows a device that waits for the user. `more`: further metadata of its client. */
async function openGrant(tab: PageTab, more: Record<string, unknown> = {}): Promise<void> {
  const { user_code } = await startDevice(tab.hearth.url, await registerDeviceClient(tab.hearth.url, more))
  await tab.enter()
  await tab.go(`/device?user_code=${user_code}`)
}

async function decideOnGrant(tab: PageTab, decision: 'approve' | 'refuse'): Promise<void> {
  await openGrant(tab)
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
  { name: 'device code, long name', open: (tab) => openGrant(tab, { client_name: 'W'.repeat(200) }) },
  { name: 'device code, no name', open: (tab) => openGrant(tab, { client_name: undefined }) },
  {
    name: 'device code, own device',
    async open(tab) {
      const { deviceId } = await tab.enter()
      const { url } = tab.hearth
      const { user_code } = await startDevice(url, await registerDeviceClient(url), deviceId)
      await tab.go(`/device?user_code=${user_code}`)
    },
  },
  { name: 'device code, approved', open: (tab) => decideOnGrant(tab, 'approve') },
  { name: 'device code, refused', open: (tab) => decideOnGrant(tab, 'refuse') },
]

/** The pages on which users let clients use their accounts. */
export const OAUTH_PAGES: readonly PageStates[] = [{ states: [...consent, ...device] }]
