import { type CasServer, startCasServer } from '../cas-server.ts'
import { ask, asUser, registerUser, type TestUser, uniqueName } from '../client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../page-visitor.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const cas: CasServer = await startCasServer()

const campus = { kind: 'cas', id: 'campus', name: 'Campus', server_url: cas.url, choose_name: true }
const closed = { ...campus, id: 'closed', name: 'A provider with a rather long name', may_register: false }
const terms = { id: 'terms', version: '1.0', name: 'Terms of use', url: 'https://example.org/terms', language: 'en' }
const identity_providers = [campus, closed]
const SSO = `/_matrix/client/v3/login/sso/redirect?redirectUrl=${encodeURIComponent('https://app.example.org/')}`

/** Goes to CAS and back for a provider, without showing a page; returns the page to which that leads. */
async function visitCas(visitor: Visitor, start: string, user: string): Promise<VisitedPage> {
  const page = await visitor.open(start)
  const back = cas.signIn(page.headers.get('location')!, user)
  return visitor.open(back.pathname + back.search)
}

/** Shows in the tab what a visitor sees. */
async function show(tab: PageTab, visitor: Visitor, { url }: VisitedPage): Promise<void> {
  const cookies = [...visitor.cookies].map(([name, value]) => ({ name, value, url: tab.hearth.url }))
  await tab.page.context().addCookies(cookies)
  await tab.go(url.pathname + url.search)
}

/** The page for a user of CAS without an account here. `open`: further steps in the tab. */
function atCas(
  name: string,
  {
    provider = 'campus',
    user = async () => uniqueName(),
    open = async () => {},
  }: { provider?: string; user?: (tab: PageTab) => Promise<string>; open?: (tab: PageTab) => Promise<void> } = {},
): PageState {
  return {
    name,
    async open(tab) {
      const visitor = newVisitor(tab.hearth.url)
      await show(tab, visitor, await visitCas(visitor, `/upstream/${provider}/start`, await user(tab)))
      await open(tab)
    },
  }
}

const nameOf = ({ userId }: TestUser) => userId.slice(1).split(':')[0]!

/** Signs a visitor in, who then links an account of CAS; returns the question. */
async function linking(tab: PageTab): Promise<[Visitor, VisitedPage]> {
  const visitor = newVisitor(tab.hearth.url)
  await signIn(visitor, await registerUser(tab.hearth.url))
  return [visitor, await visitCas(visitor, '/upstream/campus/start?link=1', uniqueName())]
}

/** Lets a client of a user without a password begin to delete a device; returns the page that confirms it. */
async function confirmation(tab: PageTab): Promise<[Visitor, string]> {
  const visitor = newVisitor(tab.hearth.url)
  const choice = await visitCas(visitor, '/upstream/campus/start', uniqueName())
  await visitor.submit(choice, { name: uniqueName() }, { do: 'register' })
  const done = await visitor.submit(await visitor.open(SSO))
  const token = new URL(done.headers.get('location')!).searchParams.get('loginToken')
  const { url } = tab.hearth
  const body = { type: 'm.login.token', token }
  const user = asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body)
  const { session } = (await user.ask('DELETE', `/_matrix/client/v3/devices/${user.deviceId}`, {})).body
  return [visitor, `/login/confirm?session=${session}`]
}

const states: PageState[] = [
  { name: 'sign-in with providers', open: (tab) => tab.go('/login') },
  { name: 'registration with providers', open: (tab) => tab.go('/register') },
  { name: 'provider problem', open: (tab) => tab.go('/upstream/campus/callback?state=unknown') },
  atCas('provider new account'),
  atCas('provider taken name', {
    async open({ page, register }) {
      await page.locator('[name=name]').fill(nameOf(await register()))
      await page.locator('form:has([name=name]) button').click()
      await page.waitForLoadState()
    },
  }),
  atCas('provider conflict', { user: async (tab) => nameOf(await tab.register()) }),
  atCas('provider closed', { provider: 'closed' }),
  {
    name: 'provider link question',
    async open(tab) {
      await show(tab, ...(await linking(tab)))
    },
  },
  {
    name: 'linked accounts',
    async open(tab) {
      const [visitor, question] = await linking(tab)
      await show(tab, visitor, await visitor.submit(question, {}, { do: 'link' }))
      await tab.go('/account/providers')
    },
  },
  {
    name: 'single sign-on',
    async open(tab) {
      await tab.enter()
      await tab.go(SSO)
    },
  },
  {
    name: 'confirmation for a client',
    async open(tab) {
      const [visitor, path] = await confirmation(tab)
      await show(tab, visitor, await visitor.open(path))
    },
  },
  {
    name: 'confirmation for a client of another user',
    async open(tab) {
      const [, path] = await confirmation(tab)
      await tab.enter()
      await tab.go(path)
    },
  },
]

const hidden: PageState[] = [
  { name: 'sign-in with hidden passwords', open: (tab) => tab.go('/login') },
  { name: 'sign-in with a shown password', open: (tab) => tab.go('/login?choose=1') },
  atCas('provider new account with terms'),
]

/** Pages of identity providers and single sign-on. */
export const UPSTREAM_PAGES: readonly PageStates[] = [
  { config: { identity_providers }, states },
  {
    config: { identity_providers, sign_in: { passwords: 'hidden' }, registration: { enabled: true, terms: [terms] } },
    states: hidden,
  },
]
