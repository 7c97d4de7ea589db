import { pollUntil } from '../../../testing/poll-until.ts'
import { logIn } from '../client.ts'
import { API_SCOPE, signInByOAuth } from '../oauth-client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

/** Presses the button of a form that has this value of `do`, or of the only form of the page. */
async function submit({ page }: PageTab, what?: string): Promise<void> {
  const form = page
    .locator('main form')
    .filter(what === undefined ? {} : { has: page.locator(`[name=do][value="${what}"]`) })
  await form.locator('button').first().click()
  await page.waitForLoadState()
}

/** Returns a page that every signed-in user can open. */
function simple(name: string, path: string): PageState {
  return {
    name,
    async open(tab) {
      await tab.enter()
      await tab.go(path)
    },
  }
}

const LONG = 'W'.repeat(120)
/** A PNG of one pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

async function choosePicture(tab: PageTab, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await tab.enter()
  await tab.go('/account/profile')
  await tab.page.locator('[name=avatar]').setInputFiles(file)
  await tab.page.locator('form[enctype] button').click()
  await tab.page.waitForLoadState()
}

const overview: PageState[] = [
  simple('account', '/account'),
  {
    name: 'account with a long name and a picture',
    async open(tab) {
      await choosePicture(tab, { name: 'me.png', mimeType: 'image/png', buffer: PIXEL })
      await tab.page.locator('[name=name]').fill(LONG)
      await submit(tab, 'name')
      await tab.go('/account')
    },
  },
]

const profile: PageState[] = [
  simple('profile', '/account/profile'),
  {
    name: 'profile with a new picture',
    open: (tab) => choosePicture(tab, { name: 'me.png', mimeType: 'image/png', buffer: PIXEL }),
  },
  {
    name: 'profile with a file that is no image',
    open: (tab) => choosePicture(tab, { name: 'me.png', mimeType: 'image/png', buffer: Buffer.from('text') }),
  },
]

const devices: PageState[] = [
  simple('devices', '/account/devices'),
  {
    name: 'devices with long names, on two pages',
    async open(tab) {
      const user = await tab.enter()
      for (let count = 0; count < 52; count++)
        await logIn(tab.hearth.url, user.userId, count === 51 ? LONG : `Element on device ${count}`)
      await tab.go('/account/devices')
    },
  },
  {
    name: 'device',
    async open(tab) {
      const user = await tab.enter()
      await user.get('/_matrix/client/v3/account/whoami')
      await tab.go(`/account/devices/${user.deviceId}`)
    },
  },
  {
    name: 'device renamed',
    async open(tab) {
      const user = await tab.enter()
      await tab.go(`/account/devices/${user.deviceId}`)
      await tab.page.locator('[name=name]').fill(LONG)
      await submit(tab, 'name')
    },
  },
  {
    name: 'device of an OAuth client, and a client without one',
    async open(tab) {
      const user = await tab.enter()
      await signInByOAuth(tab.hearth.url, user)
      await signInByOAuth(tab.hearth.url, user, { scope: API_SCOPE })
      await tab.go('/account/devices')
    },
  },
  simple('device unknown', '/account/devices/GONE'),
  {
    name: 'devices all signed out',
    async open(tab) {
      await tab.enter()
      await tab.go('/account/devices')
      await submit(tab)
    },
  },
]

const browsers: PageState[] = [
  {
    name: 'browsers',
    async open(tab) {
      const user = await tab.enter()
      await tab.go('/account')
      await tab.signIn(user)
      await tab.signIn(user)
      await tab.go('/account/browsers')
    },
  },
]

const uploads: PageState[] = [simple('uploads', '/account/uploads'), simple('download of data', '/account/export')]

const emails: PageState[] = [
  simple('e-mail addresses, none', '/account/emails'),
  {
    name: 'e-mail addresses, link sent',
    async open(tab) {
      await tab.enter()
      await askForLink(tab)
    },
  },
  {
    name: 'e-mail addresses',
    async open(tab) {
      await tab.enter()
      const address = await askForLink(tab)
      const mail = await pollUntil('a mail arrives', () => tab.mails.to(address)[0])
      await fetch(/http:\/\/\S+/.exec(mail.text!)![0], { method: 'POST' })
      await tab.go('/account/emails')
    },
  },
  {
    name: 'e-mail addresses, wrong',
    async open(tab) {
      await tab.enter()
      await tab.go('/account/emails')
      await tab.page.locator('[name=email]').fill('two@words')
      await submit(tab, 'add')
    },
  },
]

async function askForLink(tab: PageTab): Promise<string> {
  const address = `${'long-address-'.repeat(4)}${Date.now()}@example.org`
  await tab.go('/account/emails')
  await tab.page.locator('[name=email]').fill(address)
  await submit(tab, 'add')
  return address
}

async function fillPasswords(tab: PageTab, password: string, again: string): Promise<void> {
  await tab.enter()
  await tab.go('/account/password')
  await tab.page.locator('[name=password]').fill(password)
  await tab.page.locator('[name=again]').fill(again)
  await submit(tab)
}

const password: PageState[] = [
  simple('password', '/account/password'),
  { name: 'password, differing', open: (tab) => fillPasswords(tab, 'new horse battery', 'old horse battery') },
  { name: 'password, saved', open: (tab) => fillPasswords(tab, 'new horse battery', 'new horse battery') },
]

const identity: PageState[] = [
  simple('reset of the identity', '/account/reset-identity'),
  {
    name: 'reset of the identity, allowed',
    async open(tab) {
      await tab.enter()
      await tab.go('/account/reset-identity')
      await submit(tab)
    },
  },
]

const deactivation: PageState[] = [
  simple('deactivation', '/account/deactivate'),
  { name: 'deactivation, wrong name', open: (tab) => deactivate(tab, () => 'bob') },
  { name: 'deactivated', open: (tab) => deactivate(tab, (userId) => userId) },
]

async function deactivate(tab: PageTab, name: (userId: string) => string): Promise<void> {
  const { userId } = await tab.enter()
  await tab.go('/account/deactivate')
  await tab.page.locator('[name=name]').fill(name(userId))
  await submit(tab)
}

async function createToken(tab: PageTab, name: string): Promise<void> {
  await tab.go('/account/tokens')
  await tab.page.locator('[name=name]').fill(name)
  await tab.page.locator('[name=device]').check()
  await submit(tab, 'create')
}

const tokens: PageState[] = [
  simple('personal tokens, none', '/account/tokens'),
  {
    name: 'personal tokens, created',
    async open(tab) {
      await tab.enter()
      await createToken(tab, 'Weather bot')
    },
  },
  {
    name: 'personal tokens, without a name',
    async open(tab) {
      await tab.enter()
      await createToken(tab, ' ')
    },
  },
  {
    name: 'personal tokens with long names',
    async open(tab) {
      await tab.enter()
      for (const name of ['Weather bot', LONG]) await createToken(tab, name)
      await tab.go('/account/tokens')
    },
  },
  {
    name: 'personal tokens, revoked',
    async open(tab) {
      await tab.enter()
      await createToken(tab, 'Weather bot')
      await tab.go('/account/tokens')
      await submit(tab, 'revoke')
    },
  },
]

const secrets = [...password, ...tokens, ...identity]

/** The pages on which users manage their accounts. */
export const ACCOUNT_PAGES: readonly PageStates[] = [
  { states: [...overview, ...profile, ...devices, ...browsers, ...uploads, ...emails, ...secrets, ...deactivation] },
]
