import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, asUser, type TestUser } from '../harness/client.ts'
import { SHARED_SECRET } from '../harness/hearth.ts'
import { newVisitor, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { nextTotpCode, setUpTotp } from '../harness/second-factor.ts'
import { newPerson, startUpstreamWorld, type UpstreamWorld, whoIs } from '../harness/upstream-world.ts'

/** Clients of people who have no password, on a server where nobody has one. */
const v3 = '/_matrix/client/v3'
let world: UpstreamWorld
beforeAll(async () => {
  const sign_in = { passwords: 'disabled', trusted_clients: ['https://trusted.example.org', 'org.example.trusted:/'] }
  const registration = { enabled: false, shared_secret: SHARED_SECRET }
  world = await startUpstreamWorld({ first: {}, second: {} }, { config: { sign_in, registration } })
})
afterAll(() => world?.dispose())

const redirectFor = (client: string, more = '') =>
  `${v3}/login/sso/redirect${more}?redirectUrl=${encodeURIComponent(client)}`
const tokenOf = (location: string | null) => /loginToken=([A-Za-z0-9_]+)/.exec(location ?? '')![1]!

async function logIn(token: string, more: object = {}): Promise<TestUser> {
  const body = { type: 'm.login.token', token, ...more }
  const answer = await ask(world.url, { method: 'POST', path: `${v3}/login`, body })
  expect(answer.status).toBe(200)
  return asUser(world.url, answer.body)
}

/** Signs a person in at the first provider, and a client with it. */
async function enter(person = newPerson()): Promise<{ visitor: Visitor; user: TestUser; page: VisitedPage }> {
  const visitor = newVisitor(world.url)
  const page = await world.signInAt(visitor, 'first', { person, on: redirectFor('https://app.example.org/') })
  const done = await visitor.submit(page)
  return { visitor, page, user: await logIn(tokenOf(done.headers.get('location'))) }
}

describe('a server without passwords', () => {
  test('offers no form and no login flow for them', async () => {
    const page = await newVisitor(world.url).open('/login?choose=1')
    expect([page.forms, page.text.includes('type="password"')]).toEqual([[], false])
    const { body } = await ask(world.url, { method: 'GET', path: `${v3}/login` })
    const types = body.flows.map(({ type }: { type: string }) => type)
    expect([types.includes('m.login.password'), types.includes('m.login.sso')]).toEqual([false, true])
    expect(body.flows.find(({ type }: { type: string }) => type === 'm.login.sso').identity_providers).toEqual([
      { id: 'first', name: 'The first provider' },
      { id: 'second', name: 'The second provider' },
    ])
  })

  test('refuses them, right or wrong', async () => {
    const { user } = await enter()
    for (const name of [user.userId, '@nobody:hearth.test']) {
      const identifier = { type: 'm.id.user', user: name }
      const body = { type: 'm.login.password', identifier, password: 'x' }
      const answer = await ask(world.url, { method: 'POST', path: `${v3}/login`, body })
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      expect(answer.body.error).toContain('/login')
    }
  })
})

describe('a client', () => {
  test('may lead to one provider', async () => {
    const visitor = newVisitor(world.url)
    const page = await visitor.open(redirectFor('https://app.example.org/', '/second'))
    expect(page.headers.get('location')).toMatch(`${world.provider.issuer}/auth?`)
    const back = await world.provider.newBrowser().signIn(page.headers.get('location')!, newPerson())
    expect((await visitor.open(back.pathname + back.search)).title).toBe('Continue to app.example.org')
  })

  test('that the operator trusts gets its token at once after the sign-in, and not later', async () => {
    for (const client of ['https://trusted.example.org/some/path', 'org.example.trusted:/sso']) {
      const visitor = newVisitor(world.url)
      const page = await world.signInAt(visitor, 'first', { person: newPerson(), on: redirectFor(client) })
      const to = /^0; url=(.*)$/.exec(page.headers.get('refresh') ?? '')?.[1]
      expect(to).toMatch(client)
      expect(page.text).toContain(to!.replaceAll('&', '&#38;'))
      expect((await logIn(tokenOf(to!))).userId).toBe(whoIs(await visitor.open('/account')))
    }
  })

  test.each(['https://trusted.example.org.evil.example/', 'http://trusted.example.org/', 'org.example.trusted2:/'])(
    'with a similar URL, %s, is not trusted',
    async (client) => {
      const page = await world.signInAt(newVisitor(world.url), 'first', {
        person: newPerson(),
        on: redirectFor(client),
      })
      expect([page.headers.get('refresh'), page.forms.length]).toEqual([null, 1])
    },
  )
})

describe('the stage m.login.sso', () => {
  /** Starts the deletion of another device of the user; returns the session. */
  async function begin({ user, visitor }: { user: TestUser; visitor: Visitor }) {
    const done = await visitor.submit(await visitor.open(redirectFor('https://app.example.org/')))
    const { deviceId } = await logIn(tokenOf(done.headers.get('location')))
    const path = `${v3}/devices/${deviceId}`
    const { status, body } = await user.ask('DELETE', path, {})
    expect([status, body.flows]).toEqual([401, [{ stages: ['m.login.sso'] }]])
    const session = body.session as string
    return { path, session, page: `${v3}/auth/m.login.sso/fallback/web?session=${session}` }
  }

  test('deletes a device after the confirmation on its page', async () => {
    const person = await enter()
    const { path, session, page } = await begin(person)
    expect((await person.user.ask('DELETE', path, { auth: { type: 'm.login.sso', session } })).status).toBe(401)
    const question = await person.visitor.open(page)
    expect([question.title, question.url.pathname]).toEqual(['Confirm that it is you', '/login/confirm'])
    const done = await person.visitor.submit(question)
    expect(done.text).toContain('window.onAuthDone')
    expect((await person.user.ask('DELETE', path, { auth: { session } })).status).toBe(200)
    expect((await person.user.ask('GET', path)).status).toBe(404)
  })

  test('asks a browser in which nobody is signed in to sign in first', async () => {
    const identity = newPerson()
    const person = await enter(identity)
    const { path, session, page } = await begin(person)
    const visitor = newVisitor(world.url)
    const login = await visitor.open(page)
    expect(login.url.pathname).toBe('/login')
    const on = login.url.searchParams.get('continue')!
    const question = await world.signInAt(visitor, 'first', { person: identity, on })
    await visitor.submit(question)
    expect((await person.user.ask('DELETE', path, { auth: { session } })).status).toBe(200)
  })

  test('is nobody else’s to confirm', async () => {
    const person = await enter()
    const { path, session, page } = await begin(person)
    const other = await enter()
    const refused = await other.visitor.open(page)
    expect([refused.status, refused.alert]).toEqual([403, `This is for ${person.user.userId}. Sign in as this user.`])
    const own = await begin(other)
    const question = await other.visitor.open(own.page)
    const forged = { ...question, forms: [{ ...question.forms[0]!, action: `/login/confirm?session=${session}` }] }
    expect((await other.visitor.submit(forged)).status).toBe(403)
    expect((await person.user.ask('DELETE', path, { auth: { session } })).status).toBe(401)
    expect((await newVisitor(world.url).open(page.replace(session, 'unknown'))).status).toBe(400)
  })
})

describe('an account with a second factor', () => {
  test('is asked for it after the provider, and a sign-out at the provider ends what came of both', async () => {
    const person = newPerson()
    const { secret } = await setUpTotp((await enter(person)).visitor)
    const visitor = newVisitor(world.url)
    const at = world.provider.newBrowser()
    const step = await world.signInAt(visitor, 'first', { person, at, on: '/account/providers' })
    expect(step.url.pathname).toBe('/login/second-factor')
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
    const done = await visitor.submit(step, { code: nextTotpCode(secret) })
    expect([done.status, done.url.pathname]).toEqual([200, '/account/providers'])
    await at.signOut()
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
  })
})

describe('kill -9', () => {
  test('between the steps of a sign-in loses nothing', async () => {
    const [hearth] = world.hearths
    const crash = async () => {
      await hearth!.kill('SIGKILL')
      await hearth!.restart()
    }
    const person = newPerson()
    const visitor = newVisitor(world.url)
    const on = redirectFor('https://app.example.org/')
    const page = await world.leave(visitor, 'first', on)
    await crash()
    const back = await world.provider.newBrowser().signIn(page, person)
    const question = await visitor.open(back.pathname + back.search)
    await crash()
    const token = tokenOf((await visitor.submit(question)).headers.get('location'))
    await crash()
    const user = await logIn(token)
    await crash()
    expect((await user.get(`${v3}/account/whoami`)).user_id).toBe(user.userId)
    const again = { method: 'POST', path: `${v3}/login`, body: { type: 'm.login.token', token } }
    expect((await ask(world.url, again)).status).toBe(403)
    expect((await visitor.open(back.pathname + back.search)).title).not.toBe('')
  })

  test('while the provider answers leaves a person who can begin again', async () => {
    const [hearth] = world.hearths
    const person = newPerson()
    const visitor = newVisitor(world.url)
    const back = await world.provider.newBrowser().signIn(await world.leave(visitor, 'first'), person)
    const lost = visitor.open(back.pathname + back.search).catch(() => undefined)
    await hearth!.kill('SIGKILL')
    await lost
    await hearth!.restart()
    const page = await world.signInAt(visitor, 'first', { person })
    expect(whoIs(page)).toBe(`@${person.preferred_username}:hearth.test`)
  })
})
