import { pollUntil } from '../../../testing/poll-until.ts'
import { ask, uniqueName } from '../client.ts'
import type { PageState, PageStates, PageTab } from './page-state.ts'

const v3 = '/_matrix/client/v3'

/** Starts an authentication session of a registration. */
async function registrationSession({ hearth }: PageTab): Promise<string> {
  const body = { username: uniqueName(), password: 'correct horse battery' }
  return (await ask(hearth.url, { method: 'POST', path: `${v3}/register`, body })).body.session
}

const stagePath = (type: string, session: string) => `${v3}/auth/${type}/fallback/web?session=${session}`

/** The page of a stage; `press`: after its button. */
function stage(type: string, press = false): PageState {
  return {
    name: `stage ${type}${press ? ', after its button' : ''}`,
    async open(tab) {
      await tab.go(stagePath(type, await registrationSession(tab)))
      if (!press) return
      await tab.page.locator('main form button').click()
      await tab.page.waitForLoadState()
    },
  }
}

const stages: PageState[] = [
  stage('m.login.dummy'),
  stage('m.login.dummy', true),
  stage('m.login.terms'),
  stage('m.login.registration_token'),
  stage('m.login.email.identity'),
  stage('m.oauth'),
  {
    name: 'stage m.login.password, wrong',
    async open(tab) {
      const user = await tab.register()
      const { session } = (await user.ask('POST', `${v3}/account/deactivate`, {})).body
      await tab.go(stagePath('m.login.password', session))
      await tab.page.locator('[name=password]').fill('wrong')
      await tab.page.locator('main form button').click()
      await tab.page.waitForLoadState()
    },
  },
  { name: 'stage of an unknown session', open: (tab) => tab.go(stagePath('m.login.dummy', 'unknown')) },
  { name: 'sign-in for old clients', open: (tab) => tab.go('/_matrix/static/client/login/') },
]

/** The page behind the link that a client has requested; `press`: after its button. */
async function openLink(tab: PageTab, place: '/register' | '/account/password', press: boolean): Promise<void> {
  const email = `${uniqueName()}@example.org`
  if (place === '/account/password') await addAddress(tab, email)
  const body = { email, client_secret: 'secret', send_attempt: 1, next_link: 'https://client.example.org/' }
  await ask(tab.hearth.url, { method: 'POST', path: `${v3}${place}/email/requestToken`, body })
  await tab.page.goto(await linkTo(tab, email))
  if (!press) return
  await tab.page.locator('main form button').click()
  await tab.page.waitForLoadState()
}

async function addAddress(tab: PageTab, email: string): Promise<void> {
  await tab.enter()
  await tab.go('/account/emails')
  await tab.page.locator('[name=email]').fill(email)
  await tab.page
    .locator('main form', { has: tab.page.locator('[name=email]') })
    .locator('button')
    .click()
  await tab.page.goto(await linkTo(tab, email))
  await tab.page.locator('main form button').click()
  await tab.page.waitForLoadState()
}

/** Takes the mail to an address, and returns its link. */
async function linkTo({ mails }: PageTab, email: string): Promise<string> {
  const mail = await pollUntil('a mail arrives', () => mails.to(email)[0])
  mails.received.splice(mails.received.indexOf(mail), 1)
  return /http:\/\/\S+/.exec(mail.text!)![0]
}

const links: PageState[] = [
  { name: 'link for a registration', open: (tab) => openLink(tab, '/register', false) },
  { name: 'link for a registration, opened', open: (tab) => openLink(tab, '/register', true) },
  { name: 'link for a password', open: (tab) => openLink(tab, '/account/password', false) },
  {
    name: 'link for an account, opened',
    open: (tab) => addAddress(tab, `${uniqueName()}@example.org`),
  },
  {
    name: 'link that has expired',
    open: (tab) => tab.go('/_matrix/client/unstable/hearth/confirm_email/unknown/unknown'),
  },
]

const TERMS = [
  { id: 'terms', version: '1', name: 'Terms of service', url: 'https://example.org/terms' },
  { id: 'privacy', version: '1', name: 'Privacy policy', url: 'https://example.org/privacy' },
]

/** The pages that clients open, and those behind links in mails. */
export const PAGES_FOR_CLIENTS: readonly PageStates[] = [
  { states: links },
  {
    config: { registration: { enabled: true, terms: TERMS } },
    states: stages.filter(({ name }) => /terms/.test(name)),
  },
  { states: stages.filter(({ name }) => !/terms/.test(name)) },
]
