import { createAuthenticator } from '../../../testing/authenticator.ts'
import type { TestUser } from '../client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../page-visitor.ts'
import { beginTotp, FACTORS_PATH, passkeyOptionsIn, setUpTotp } from '../second-factor.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

/** Browsers refuse passkeys for the address under which the pages are shown here. */
const ORIGIN = 'http://localhost:8008'
const LONG = 'W'.repeat(100)

/** A user, and a browser without scripts in which that user is signed in. */
type Signed = { user: TestUser; visitor: Visitor }

async function enter({ hearth, register }: PageTab): Promise<Signed> {
  const user = await register()
  const visitor = newVisitor(hearth.url)
  await signIn(visitor, user)
  return { user, visitor }
}

/** Gives the cookies of a visitor to the tab. */
async function handOver({ hearth, page }: PageTab, { cookies }: Visitor): Promise<void> {
  await page.context().addCookies([...cookies].map(([name, value]) => ({ name, value, url: hearth.url })))
}

async function addPasskey(visitor: Visitor, name: string): Promise<VisitedPage> {
  const page = await visitor.open(FACTORS_PATH)
  const credential = createAuthenticator({ origin: ORIGIN }).create(passkeyOptionsIn(page))
  return visitor.submit(page, { credential, name }, { do: 'add-passkey' })
}

/** Presses the button of the form with this value of `do`. */
async function submit({ page }: PageTab, what: string): Promise<void> {
  await page
    .locator('main form', { has: page.locator(`[name=do][value="${what}"]`) })
    .locator('button')
    .click()
  await page.waitForLoadState()
}

/** A page after `prepare`. */
function after(name: string, path: string, prepare: (signed: Signed) => Promise<unknown> = async () => {}): PageState {
  return {
    name,
    async open(tab) {
      const signed = await enter(tab)
      await prepare(signed)
      await handOver(tab, signed.visitor)
      await tab.go(path)
    },
  }
}

/** The page between the two steps of a sign-in, after `prepare`. */
function secondStep(name: string, prepare: (signed: Signed) => Promise<unknown>): PageState {
  return {
    name,
    async open(tab) {
      const signed = await enter(tab)
      await prepare(signed)
      const again = newVisitor(tab.hearth.url)
      await signIn(again, signed.user)
      await handOver(tab, again)
      await tab.go('/login/second-factor')
    },
  }
}

const TOTP_PATH = `${FACTORS_PATH}/totp`

const optional: PageState[] = [
  after('second factors, none', FACTORS_PATH),
  after('second factors, several', FACTORS_PATH, async ({ visitor }) => {
    await setUpTotp(visitor)
    await addPasskey(visitor, 'Phone')
    await addPasskey(visitor, LONG)
  }),
  after('authenticator app', TOTP_PATH, ({ visitor }) => beginTotp(visitor)),
  {
    name: 'authenticator app, wrong code',
    async open(tab) {
      const { visitor } = await enter(tab)
      await beginTotp(visitor)
      await handOver(tab, visitor)
      await tab.go(TOTP_PATH)
      await tab.page.locator('[name=code]').fill('000000')
      await tab.page.locator('main form button').click()
    },
  },
  {
    name: 'recovery codes',
    async open(tab) {
      const { visitor } = await enter(tab)
      await setUpTotp(visitor)
      await handOver(tab, visitor)
      await tab.go(FACTORS_PATH)
      await submit(tab, 'renew-codes')
    },
  },
  secondStep('second step, app', ({ visitor }) => setUpTotp(visitor)),
  secondStep('second step, passkey', ({ visitor }) => addPasskey(visitor, 'Phone')),
  {
    name: 'second step, wrong code',
    async open(tab) {
      const { user, visitor } = await enter(tab)
      await setUpTotp(visitor)
      await addPasskey(visitor, 'Phone')
      const again = newVisitor(tab.hearth.url)
      await signIn(again, user)
      await handOver(tab, again)
      await tab.go('/login/second-factor')
      await tab.page.locator('#field-code').fill('000000')
      await submit(tab, 'totp')
    },
  },
]

export const SECOND_FACTOR_PAGES: readonly PageStates[] = [
  { config: { public_base_url: ORIGIN }, states: optional },
  {
    config: { public_base_url: 'http://192.0.2.1', second_factor: 'required' },
    states: [after('second factors, required', FACTORS_PATH)],
  },
  { config: { second_factor: 'off' }, states: [after('second factors, off', FACTORS_PATH)] },
]
