import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, registerAdmin, registerUser, uniqueName } from '../harness/client.ts'
import { SHARED_SECRET } from '../harness/hearth.ts'
import type { IdentityProvider, Person } from '../harness/identity-provider.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { newPerson, startUpstreamWorld, type UpstreamWorld, whoIs } from '../harness/upstream-world.ts'

/** Sign-in at the real oidc-provider, which runs in a process of its own. */
const v3 = '/_matrix/client/v3'
/** The settings of each configured provider; each is another client of the same oidc-provider. */
const PROVIDERS: Record<string, object> = {
  asking: {},
  linking: { on_conflict: 'link' },
  refusing: { on_conflict: 'refuse' },
  choosing: { choose_name: true },
  closed: { may_register: false },
  trusting: { trust_email: true, on_conflict: 'link', attributes: { localpart: 'u-{sub}' } },
  post: { client_authentication: 'client_secret_post' },
  cold: {},
}

let world: UpstreamWorld
let provider: IdentityProvider
let hearth: { url: string }
let signInAt: UpstreamWorld['signInAt']
let leave: UpstreamWorld['leave']
beforeAll(async () => {
  world = await startUpstreamWorld(PROVIDERS)
  ;({ provider, signInAt, leave } = world)
  hearth = world
})
afterEach(() => provider.control({ fault: '', clockMs: 0 }))
afterAll(() => world?.dispose())

const profileOf = async (userId: string) =>
  (await ask(hearth.url, { method: 'GET', path: `${v3}/profile/${encodeURIComponent(userId)}` })).body

describe('a person of the provider', () => {
  test('gets an account, and signs in to it the next time, with any browser', async () => {
    const person = newPerson()
    const userId = `@${person.preferred_username}:hearth.test`
    const page = await signInAt(newVisitor(hearth.url), 'asking', { person, on: '/account/profile?from=here' })
    expect([page.status, page.url.pathname, page.url.search]).toEqual([200, '/account/profile', '?from=here'])
    expect(whoIs(page)).toBe(userId)
    expect(await profileOf(userId)).toMatchObject({ displayname: person.name })
    const renamed = { ...person, preferred_username: uniqueName() }
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'asking', { person: renamed }))).toBe(userId)
  })

  test('is another one at another provider, even with the same subject', async () => {
    const person = newPerson()
    await signInAt(newVisitor(hearth.url), 'asking', { person })
    const other = { ...person, preferred_username: uniqueName() }
    const page = await signInAt(newVisitor(hearth.url), 'post', { person: other })
    expect(whoIs(page)).toBe(`@${other.preferred_username}:hearth.test`)
  })

  test('chooses a name, if the provider lets them', async () => {
    const taken = await registerUser(hearth.url)
    const person = newPerson('Has Spaces')
    const visitor = newVisitor(hearth.url)
    const page = await signInAt(visitor, 'choosing', { person, on: '/account/providers' })
    expect([page.title, page.forms[0]!.fields.name]).toEqual(['Create your account on hearth.test', 'hasspaces'])
    for (const [name, alert] of [
      [taken.userId.slice(1).split(':')[0]!, 'This user name is taken. Choose another.'],
      ['no way', 'A user name can only contain the letters a-z, digits and the characters . _ = - / +'],
    ]) {
      const again = await visitor.submit(page, { name: name! }, { do: 'register' })
      expect([again.status, again.alert, again.forms[0]!.fields.name]).toEqual([400, alert, name])
    }
    const name = uniqueName().toUpperCase()
    const done = await visitor.submit(page, { name }, { do: 'register' })
    expect([done.status, done.url.pathname]).toEqual([200, '/account/providers'])
    expect(whoIs(done)).toBe(`@${name.toLowerCase()}:hearth.test`)
    const twice = await visitor.submit(page, { name: uniqueName() }, { do: 'register' }).catch((error) => error)
    expect(twice.status === 403 || twice.url.pathname === '/account').toBe(true)
  })

  test('gets no account from a provider that may not register', async () => {
    const page = await signInAt(newVisitor(hearth.url), 'closed', { person: newPerson() })
    expect(page.text).toContain('get no account on this server')
    expect(page.forms).toEqual([])
  })

  test('gets none without a usable name', async () => {
    for (const name of ['Has Spaces', '', 'ж'.repeat(5), 'x'.repeat(300)]) {
      const page = await signInAt(newVisitor(hearth.url), 'asking', { person: newPerson(name) })
      expect(page.text, name).toContain('gives you no name that an account on this server can have')
    }
  })
})

describe('a name that is taken', () => {
  test('is linked at once where the operator trusts the provider', async () => {
    const alice = await registerUser(hearth.url)
    const person = newPerson(localpart(alice.userId))
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'linking', { person }))).toBe(alice.userId)
    const renamed = { ...person, preferred_username: uniqueName() }
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'linking', { person: renamed }))).toBe(alice.userId)
  })

  test('is linked after the sign-in to the account', async () => {
    const alice = await registerUser(hearth.url)
    const visitor = newVisitor(hearth.url)
    const person = newPerson(localpart(alice.userId))
    const page = await signInAt(visitor, 'asking', { person, on: '/account/profile?from=here' })
    expect(page.title).toBe('Which account is yours?')
    expect(page.forms).toEqual([])
    const login = await visitor.open(unescapeHtml(/href="(\/login[^"]*login_hint[^"]*)"/.exec(page.text)![1]!))
    expect(login.forms[0]!.fields.user).toBe(localpart(alice.userId))
    const wrong = await visitor.submit(login, { password: 'wrong' })
    expect(wrong.status).toBe(403)
    const back = await visitor.submit(login, { password: 'correct horse battery' })
    expect([back.title, back.url.pathname]).toEqual(['Which account is yours?', '/upstream/asking/account'])
    const done = await visitor.submit(back, {}, { do: 'link' })
    expect([done.url.pathname, done.url.search]).toEqual(['/account/profile', '?from=here'])
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'asking', { person }))).toBe(alice.userId)
  })

  test('is refused where the operator says so', async () => {
    const alice = await registerUser(hearth.url)
    const page = await signInAt(newVisitor(hearth.url), 'refusing', { person: newPerson(localpart(alice.userId)) })
    expect(page.text).toContain('There is an account already')
    expect(page.forms).toEqual([])
    expect(page.text).not.toContain('login_hint')
  })

  test('leaves another name, if the person may choose', async () => {
    const alice = await registerUser(hearth.url)
    const visitor = newVisitor(hearth.url)
    const page = await signInAt(visitor, 'choosing', { person: newPerson(localpart(alice.userId)) })
    const name = uniqueName()
    expect(whoIs(await visitor.submit(page, { name }, { do: 'register' }))).toBe(`@${name}:hearth.test`)
  })

  test('of a deactivated account leads to no account', async () => {
    const gone = await registerUser(hearth.url)
    const auth = { type: 'm.login.password', user: gone.userId, password: 'correct horse battery' }
    await gone.post(`${v3}/account/deactivate`, { auth })
    for (const id of ['linking', 'asking', 'refusing']) {
      const page = await signInAt(newVisitor(hearth.url), id, { person: newPerson(localpart(gone.userId)) })
      expect(page.text, id).toContain('gives you no name')
    }
  })

  test('of the account for server notices is nobody’s', async () => {
    const page = await signInAt(newVisitor(hearth.url), 'linking', { person: newPerson('notices') })
    expect(whoIs(page)).not.toBe('@notices:hearth.test')
    expect(page.url.pathname).toBe('/upstream/linking/account')
  })
})

const localpart = (userId: string) => userId.slice(1).split(':')[0]!
const unescapeHtml = (text: string) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))

describe('an e-mail address', () => {
  test('counts only if the provider has confirmed it, or the operator trusts it', async () => {
    const email = `${uniqueName()}@example.org`
    const owner = newPerson(undefined, { email, email_verified: true })
    const userId = whoIs(await signInAt(newVisitor(hearth.url), 'linking', { person: owner }))
    const addressesOf = async (id: string) => {
      const { body } = await ask(hearth.url, { method: 'GET', path: `${v3}/profile/${encodeURIComponent(id)}` })
      return body
    }
    expect(await addressesOf(userId!)).toBeDefined()
    for (const email_verified of [false, 'true', undefined, null]) {
      const page = await signInAt(newVisitor(hearth.url), 'linking', {
        person: newPerson(undefined, { email, email_verified }),
      })
      expect(whoIs(page), String(email_verified)).not.toBe(userId)
    }
    const verified = newPerson(undefined, { email: email.toUpperCase(), email_verified: true })
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'linking', { person: verified }))).toBe(userId)
    const trusted = newPerson(undefined, { email })
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'trusting', { person: trusted }))).toBe(userId)
  })

  test('of one account and the name of another are linked to neither', async () => {
    const alice = await registerUser(hearth.url)
    const email = `${uniqueName()}@example.org`
    await signInAt(newVisitor(hearth.url), 'linking', { person: newPerson(undefined, { email, email_verified: true }) })
    const both = newPerson(localpart(alice.userId), { email, email_verified: true })
    const page = await signInAt(newVisitor(hearth.url), 'linking', { person: both })
    expect(page.text).toContain('There is an account already')
  })
})

describe('linking on the account page', () => {
  const link = async (visitor: Visitor, id: string, person: Person) => {
    const page = await visitor.open(`/upstream/${id}/start?link=1&continue=%2Faccount%2Fproviders`)
    expect(page.status).toBe(303)
    const back = await provider.newBrowser().signIn(page.headers.get('location')!, person)
    return visitor.open(back.pathname + back.search)
  }

  test('links, and unlinks again', async () => {
    const alice = await registerUser(hearth.url)
    const visitor = newVisitor(hearth.url)
    await signIn(visitor, alice)
    const person = newPerson(undefined, { email: 'work@example.org' })
    const question = await link(visitor, 'asking', person)
    expect(question.text).toContain('work@example.org at The asking provider signs in to')
    const linked = await visitor.submit(question, {}, { do: 'link' })
    expect([linked.url.pathname, linked.title]).toEqual(['/account/providers', 'Linked accounts'])
    expect(linked.text).toContain('work@example.org')
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'asking', { person }))).toBe(alice.userId)
    const unlinked = await visitor.submit(linked, { subject: person.sub })
    expect(unlinked.text).toContain('No account is linked.')
    expect(whoIs(await signInAt(newVisitor(hearth.url), 'asking', { person }))).not.toBe(alice.userId)
  })

  test('needs somebody who is signed in, also after the way to the provider', async () => {
    const visitor = newVisitor(hearth.url)
    expect((await visitor.open('/upstream/asking/start?link=1')).url.pathname).toBe('/login')
    const alice = await registerUser(hearth.url)
    await signIn(visitor, alice)
    const page = await visitor.open('/upstream/asking/start?link=1')
    const back = await provider.newBrowser().signIn(page.headers.get('location')!, newPerson())
    const question = await visitor.open(back.pathname + back.search)
    await visitor.submit(await visitor.open('/logout'))
    const late = await visitor.open(question.url.pathname + question.url.search)
    expect(late.status).toBe(403)
  })

  test('does not take an account of the provider away from another user', async () => {
    const person = newPerson()
    await signInAt(newVisitor(hearth.url), 'asking', { person })
    const visitor = newVisitor(hearth.url)
    await signIn(visitor, await registerUser(hearth.url))
    const page = await link(visitor, 'asking', person)
    expect([page.status, page.alert]).toEqual([
      403,
      'This account of The asking provider belongs to another user of this server.',
    ])
  })

  test('does not unlink the last way to sign in', async () => {
    const visitor = newVisitor(hearth.url)
    const first = newPerson()
    await signInAt(visitor, 'asking', { person: first })
    const page = await visitor.open('/account/providers')
    const refused = await visitor.submit(page, { subject: first.sub })
    expect([refused.status, refused.alert]).toEqual([
      403,
      'This is your only way to sign in. Set a password or link another account first.',
    ])
    const linked = await visitor.submit(await link(visitor, 'choosing', newPerson()), {}, { do: 'link' })
    expect((await visitor.submit(linked, { provider: 'asking', subject: first.sub })).status).toBe(200)
  })

  test('of what does not exist, or is another user’s, is refused', async () => {
    const person = newPerson()
    await signInAt(newVisitor(hearth.url), 'asking', { person })
    const visitor = newVisitor(hearth.url)
    const own = newPerson()
    await signInAt(visitor, 'asking', { person: own })
    const page = await visitor.open('/account/providers')
    for (const fields of [{ subject: person.sub }, { subject: '' }, { provider: 'nowhere' }]) {
      expect((await visitor.submit(page, fields)).status).toBe(404)
    }
  })
})

test('a signed-in user has to prove again who they are, also to a provider that knows them', async () => {
  const [visitor, at, person] = [newVisitor(hearth.url), provider.newBrowser(), newPerson()]
  // The provider's session is two minutes old.
  await provider.control({ clockMs: -120_000 })
  await at.signIn(await leave(newVisitor(hearth.url), 'asking'), person)
  await provider.control({ clockMs: 0 })
  const userId = whoIs(await signInAt(visitor, 'asking', { person, at }))
  expect(userId).toBeDefined()
  const asked = await at.cancel(await leave(visitor, 'asking'))
  expect(asked.searchParams.get('error')).toBe('access_denied')
  // Nothing is gained by changing the address: the provider's session alone does not do.
  const unasked = await at.cancel((await leave(visitor, 'asking')).replace('&prompt=login', ''))
  expect(unasked.searchParams.get('code')).not.toBeNull()
  const refused = await visitor.open(unasked.pathname + unasked.search)
  expect([refused.status, refused.text]).toEqual([502, expect.stringContaining('did not complete the sign-in')])
  expect(whoIs(await signInAt(visitor, 'asking', { person, at }))).toBe(userId)
})

describe('a sign-in that fails', () => {
  const on = '/account/profile?from=here'
  const expectWayBack = (page: VisitedPage, id: string) =>
    expect(unescapeHtml(page.text)).toContain(`/upstream/${id}/start?continue=${encodeURIComponent(on)}`)

  test.each([
    ['the provider is down before the sign-in', 'discovery', 'cold', 502, 'cannot be reached'],
    ['the token endpoint is down', 'token', 'asking', 502, 'cannot be reached'],
    ['the userinfo endpoint is down', 'userinfo', 'asking', 502, 'cannot be reached'],
    ['the ID token is forged', 'forged', 'asking', 502, 'is not valid'],
    ['the userinfo is of another person', 'other person', 'asking', 502, 'is not valid'],
  ] as const)('because %s shows so, and keeps what it was for', async (_, fault, id, status, text) => {
    await provider.control({ fault })
    const visitor = newVisitor(hearth.url)
    const person = newPerson()
    const page =
      fault === 'discovery'
        ? await visitor.open(`/upstream/${id}/start?continue=${encodeURIComponent(on)}`)
        : await signInAt(visitor, id, { person, on })
    expect([page.status, page.alert]).toEqual([status, expect.stringContaining(text)])
    expectWayBack(page, id)
    await provider.control({ fault: '' })
    expect((await signInAt(visitor, id, { person, on })).url.pathname).toBe('/account/profile')
  })

  test('because the clocks differ shows so', async () => {
    await provider.control({ clockMs: -3_600_000 })
    const page = await signInAt(newVisitor(hearth.url), 'asking', { person: newPerson(), on })
    expect(page.alert).toContain('The clocks of The asking provider and of this server differ.')
    expectWayBack(page, 'asking')
  })

  test('because the person cancels shows so', async () => {
    const visitor = newVisitor(hearth.url)
    const back = await provider.newBrowser().cancel(await leave(visitor, 'asking', on))
    const page = await visitor.open(back.pathname + back.search)
    expect([page.status, page.alert]).toEqual([403, expect.stringContaining('You cancelled the sign-in')])
    expectWayBack(page, 'asking')
    const again = await visitor.open(back.pathname + back.search)
    expect([again.status, again.alert]).toEqual([400, 'This sign-in was completed already. Begin again.'])
    expectWayBack(again, 'asking')
  })

  test('because the process of the provider is gone shows so', async () => {
    const visitor = newVisitor(hearth.url)
    const back = await provider.newBrowser().signIn(await leave(visitor, 'asking', on), newPerson())
    await provider.kill()
    try {
      const page = await visitor.open(back.pathname + back.search)
      expect([page.status, page.alert]).toEqual([502, expect.stringContaining('cannot be reached')])
      expectWayBack(page, 'asking')
    } finally {
      await provider.restart()
    }
  })

  test('because the provider has new keys works the second time', async () => {
    await provider.kill()
    await provider.restart({ newKey: true })
    const person = newPerson()
    const first = await signInAt(newVisitor(hearth.url), 'asking', { person, on })
    expect([first.status, first.alert]).toEqual([502, expect.stringContaining('is not valid')])
    expect((await signInAt(newVisitor(hearth.url), 'asking', { person, on })).url.pathname).toBe('/account/profile')
  })

  test('because its answer comes twice does not sign in twice', async () => {
    const visitor = newVisitor(hearth.url)
    const back = await provider.newBrowser().signIn(await leave(visitor, 'asking', on), newPerson())
    const callback = back.pathname + back.search
    const answers = await Promise.all(
      [1, 2, 3].map(() => fetch(hearth.url + callback, { headers: cookieOf(visitor), redirect: 'manual' })),
    )
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(2)
    // The one that signed in has got a new cookie.
    expect((await visitor.open(callback)).status).toBe(403)
  })

  test('because another browser ends it signs nobody in', async () => {
    const victim = newVisitor(hearth.url)
    const back = await provider.newBrowser().signIn(await leave(victim, 'asking', on), newPerson())
    const callback = back.pathname + back.search
    for (const other of [newVisitor(hearth.url), await withCookie()]) {
      const page = await other.open(callback)
      expect([page.status, page.alert]).toEqual([403, expect.stringContaining('began in another browser')])
      expect((await other.open('/account')).url.pathname).toBe('/login')
    }
    expect((await victim.open(callback)).url.pathname).toBe('/account/profile')
  })

  test('because its state is unknown, missing, of another provider or too long', async () => {
    const visitor = newVisitor(hearth.url)
    const back = await provider.newBrowser().signIn(await leave(visitor, 'asking', on), newPerson())
    const state = back.searchParams.get('state')!
    for (const callback of [
      '/upstream/asking/callback',
      '/upstream/asking/callback?state=&code=x',
      `/upstream/asking/callback?code=${back.searchParams.get('code')}`,
      `/upstream/asking/callback?state=${'x'.repeat(5000)}`,
      '/upstream/asking/callback?state=%00',
      `/upstream/linking/callback${back.search}`,
    ]) {
      expect((await visitor.open(callback)).status, callback).toBe(400)
    }
    const forged = await visitor.open(
      `/upstream/asking/callback?state=${state}&code=forged&iss=${encodeURIComponent(provider.issuer)}`,
    )
    expect(forged.status).toBe(502)
  })

  test('because the answer names another issuer', async () => {
    const visitor = newVisitor(hearth.url)
    const back = await provider.newBrowser().signIn(await leave(visitor, 'asking', on), newPerson())
    back.searchParams.set('iss', 'https://evil.example')
    const page = await visitor.open(back.pathname + back.search)
    expect([page.status, page.alert]).toEqual([502, expect.stringContaining('is not valid')])
  })

  test.each(['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)', '/nowhere'])(
    'or not, it never leads to %s',
    async (target) => {
      const page = await signInAt(newVisitor(hearth.url), 'asking', { person: newPerson(), on: target })
      expect(page.url.href).toBe(`${hearth.url}/account`)
    },
  )

  test('because there is no such provider', async () => {
    for (const path of ['start', 'callback?state=x', 'account?state=x'])
      expect((await newVisitor(hearth.url).open(`/upstream/nowhere/${path}`)).status).toBe(404)
  })
})

const cookieOf = ({ cookies }: Visitor) => ({ cookie: [...cookies].map((pair) => pair.join('=')).join('; ') })

async function withCookie(): Promise<Visitor> {
  const visitor = newVisitor(hearth.url)
  await visitor.open('/login')
  return visitor
}

describe('a locked account', () => {
  test('is not signed in, and the page says why', async () => {
    const person = newPerson()
    const userId = whoIs(await signInAt(newVisitor(hearth.url), 'asking', { person }))!
    const admin = await registerAdmin(hearth.url, SHARED_SECRET)
    const path = `/_matrix/client/v1/admin/lock/${encodeURIComponent(userId)}`
    const locked = await admin.ask('PUT', path, { locked: true })
    expect(locked.status).toBe(200)
    const page = await signInAt(newVisitor(hearth.url), 'asking', { person })
    expect(page.alert).toBe('This account has been locked by an administrator of this server.')
  })
})
