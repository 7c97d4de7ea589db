import { join } from 'node:path'
import { registerAdmin, type TestUser } from '../client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const PASSWORD = 'correct horse battery'

/** A page that anybody can open. */
function open(name: string, path: string): PageState {
  return { name, open: (tab) => tab.go(path) }
}

async function fill({ page }: PageTab, user: Pick<TestUser, 'userId'>, password = PASSWORD): Promise<void> {
  await page.locator('[name=user]').fill(user.userId)
  await page.locator('[name=password]').fill(password)
  await page
    .locator('main form', { has: page.locator('[name=password]') })
    .locator('button')
    .click()
  await page.waitForLoadState()
}

const signIn: PageState[] = [
  open('sign-in', '/login'),
  open('sign-in with a hint', '/login?login_hint=mxid%3A%40alice%3Ahearth.test'),
  {
    name: 'sign-in, wrong password',
    async open(tab) {
      const user = await tab.register()
      await tab.go('/login')
      await fill(tab, user, 'wrong')
    },
  },
  {
    name: 'sign-in again',
    async open(tab) {
      await tab.enter()
      await tab.go('/login?continue=%2Faccount%2Fpassword')
    },
  },
  {
    name: 'locked account',
    async open(tab) {
      const { userId } = await tab.enter()
      const admin = await registerAdmin(tab.hearth.url)
      await admin.put(`/_matrix/client/v1/admin/lock/${userId}`, { locked: true })
      await tab.go('/account')
    },
  },
  {
    name: 'suspended account',
    async open(tab) {
      const { userId } = await tab.enter()
      const admin = await registerAdmin(tab.hearth.url)
      await admin.put(`/_matrix/client/v1/admin/suspend/${userId}`, { suspended: true })
      await tab.go('/account')
    },
  },
  {
    name: 'sign-out',
    async open(tab) {
      await tab.enter()
      await tab.go('/logout')
    },
  },
  open('signed out', '/logout'),
  {
    name: 'stale form',
    async open(tab) {
      const user = await tab.register()
      await tab.go('/login')
      await tab.page.context().clearCookies()
      await fill(tab, user)
    },
  },
]

const LINKS = ['Imprint', 'Privacy', 'Terms of service', 'Status of the service', 'Help and contact'].map((name) => ({
  name,
  url: 'https://example.org/',
}))

/** The pages on which users sign in and out. */
export const SIGN_IN_PAGES: readonly PageStates[] = [
  { states: signIn },
  {
    config: {
      branding: { name: 'Example chat', logo: join(import.meta.dirname, 'logo.svg'), links: LINKS },
      registration: { enabled: false },
      email: {},
    },
    states: [open('sign-in with logo and links, no registration and no mail', '/login')],
  },
]
