import { pollUntil } from '../../../testing/poll-until.ts'
import { uniqueName } from '../client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const PASSWORD = 'correct horse battery'

async function submit({ page }: PageTab): Promise<void> {
  await page.locator('main form button').first().click()
  await page.waitForLoadState()
}

async function register(tab: PageTab, fields: Record<string, string> = {}): Promise<void> {
  await tab.go('/register')
  for (const [name, value] of Object.entries({ user: uniqueName(), password: PASSWORD, ...fields }))
    await tab.page.locator(`[name=${name}]`).fill(value)
  const accept = tab.page.locator('[name=accept]')
  if ((await accept.count()) > 0) await accept.check()
  await submit(tab)
}

/** Registers an account with a confirmed address, and returns that. */
async function registerWithAddress(tab: PageTab): Promise<string> {
  const email = `${uniqueName()}@example.org`
  await register(tab, { email })
  const waiting = tab.page.url()
  await tab.page.goto(await linkTo(tab, email))
  await submit(tab)
  await tab.page.goto(waiting)
  await submit(tab)
  return email
}

/** Takes a mail to an address, and returns its link. */
async function linkTo({ mails }: PageTab, email: string): Promise<string> {
  const found = () =>
    mails.to(email).flatMap((mail) => /http:\/\/\S+(confirm|reset|renew)\S+/.exec(mail.text!)?.[0] ?? [])[0]
  const link = await pollUntil('a mail arrives', found)
  for (const mail of mails.to(email)) mails.received.splice(mails.received.indexOf(mail), 1)
  return link
}

async function forget(tab: PageTab, email: string): Promise<void> {
  await tab.page.context().clearCookies()
  await tab.go('/password/forgotten')
  await tab.page.locator('[name=email]').fill(email)
  await submit(tab)
}

async function openReset(tab: PageTab, password?: string): Promise<void> {
  const email = await registerWithAddress(tab)
  await forget(tab, email)
  await tab.page.goto(await linkTo(tab, email))
  if (password === undefined) return
  await tab.page.locator('[name=password]').fill(password)
  await submit(tab)
}

const open: PageState[] = [
  { name: 'registration', open: (tab) => tab.go('/register') },
  { name: 'registration, weak password', open: (tab) => register(tab, { password: 'weak'.repeat(400) }) },
  {
    name: 'registration, name in use',
    async open(tab) {
      const { userId } = await tab.register()
      await register(tab, { user: userId.slice(1).split(':')[0]! })
    },
  },
  {
    name: 'registration, mail sent',
    open: (tab) => register(tab, { email: `${uniqueName()}@example.org` }),
  },
  {
    name: 'registration, link not opened',
    async open(tab) {
      await register(tab, { email: `${uniqueName()}@example.org` })
      await submit(tab)
    },
  },
]

const forgotten: PageState[] = [
  { name: 'forgotten password', open: (tab) => tab.go('/password/forgotten') },
  { name: 'forgotten password, no address', open: (tab) => forget(tab, 'nobody') },
  { name: 'forgotten password, mail sent', open: (tab) => forget(tab, `${uniqueName()}@example.org`) },
  { name: 'forgotten password, link opened', open: (tab) => openReset(tab) },
  { name: 'forgotten password, set', open: (tab) => openReset(tab, 'another horse battery') },
  { name: 'forgotten password, link expired', open: (tab) => tab.go('/password/reset/unknown/unknown') },
]

/** Opens the link that renews an account, which has expired as soon as it is made. */
async function openRenewal(tab: PageTab): Promise<void> {
  const email = await registerWithAddress(tab)
  await tab.page.goto(await linkTo(tab, email))
}

const expiring: PageState[] = [
  { name: 'account has expired', open: async (tab) => void (await registerWithAddress(tab)) },
  { name: 'renewal of an account', open: openRenewal },
  {
    name: 'renewal of an account, done',
    async open(tab) {
      await openRenewal(tab)
      await submit(tab)
    },
  },
]

/** No two of them are equal, since a number belongs to one account. */
const newNumber = () => `+49170${String(Math.floor(Math.random() * 1e7)).padStart(7, '0')}`

const withNumber: PageState[] = [
  { name: 'registration with a phone number, wrong', open: (tab) => register(tab, { phone: '12' }) },
  { name: 'registration with a phone number, code sent', open: (tab) => register(tab, { phone: newNumber() }) },
  {
    name: 'registration with a phone number, wrong code',
    async open(tab) {
      await register(tab, { phone: newNumber() })
      await tab.page.locator('[name=code]').fill('nonsense')
      await submit(tab)
    },
  },
]

const TERMS = [
  { id: 'terms', version: '1', name: 'Terms of service', url: 'https://example.org/terms' },
  { id: 'terms', version: '1', name: '服务条款', url: 'https://example.org/zh', language: 'zh' },
  { id: 'privacy', version: '1', name: 'Privacy policy', url: 'https://example.org/privacy' },
]

/** The pages for new users, and for those who have forgotten their password. */
export const REGISTRATION_PAGES: readonly PageStates[] = [
  { states: [...open, ...forgotten] },
  {
    config: { registration: { enabled: true, requires_token: true, requires_email: true, terms: TERMS } },
    states: [
      { name: 'registration by token, with terms', open: (tab) => tab.go('/register?token=abc') },
      {
        name: 'registration by token, wrong',
        open: (tab) => register(tab, { token: 'wrong', email: `${uniqueName()}@example.org` }),
      },
    ],
  },
  { config: { account_validity: { period: '1ms' } }, states: expiring },
  {
    // Nothing listens there: no code is needed.
    config: { registration: { enabled: true, requires_phone: true }, phone: { gateway_url: 'http://127.0.0.1:9' } },
    states: withNumber,
  },
  {
    config: { registration: { enabled: false }, email: {} },
    states: [
      { name: 'registration, closed', open: (tab) => tab.go('/register') },
      { name: 'forgotten password, no mail', open: (tab) => tab.go('/password/forgotten') },
    ],
  },
]
