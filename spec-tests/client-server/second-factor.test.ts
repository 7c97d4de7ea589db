import { beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { createAuthenticator } from '../../testing/authenticator.ts'
import { totpCode } from '../../testing/totp-code.ts'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { authorization, exchange, registerClient, replyOf } from '../harness/oauth-client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import {
  beginTotp,
  confirmTotp,
  FACTORS_PATH,
  nextTotpCode,
  passkeyOptionsIn,
  recoveryCodesIn,
  type SetUpFactor,
  setUpTotp,
} from '../harness/second-factor.ts'

/** Second factors of accounts, over the pages as a browser without JavaScript. */
const { url } = inject('homeserver')
const password = 'correct horse battery'
const WRONG = 'This code is wrong, or it was used before. Wait for the next code and try again.'

let user: TestUser
beforeEach(async () => {
  user = await registerUser(url)
})

/** Signs in with a browser of its own, up to the second step. */
async function firstStep(on?: string): Promise<{ visitor: Visitor; page: VisitedPage }> {
  const visitor = newVisitor(url)
  return { visitor, page: await signIn(visitor, user, on) }
}

async function withTotp(): Promise<SetUpFactor> {
  const { visitor } = await firstStep()
  return setUpTotp(visitor)
}

const give = ({ visitor, page }: { visitor: Visitor; page: VisitedPage }, code: string, way = 'totp') =>
  visitor.submit(page, { code }, { do: way })

const logIn = (name: string, secret: string) =>
  ask(url, {
    method: 'POST',
    path: '/_matrix/client/v3/login',
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password: secret },
  })

describe('an authenticator app', () => {
  test('is confirmed by its code, and then needed to sign in', async () => {
    const { visitor } = await firstStep()
    const secret = await beginTotp(visitor)
    const page = await visitor.open(`${FACTORS_PATH}/totp`)
    expect(page.text).toMatch(/<img class="qr" src="data:image\/svg\+xml;base64,[^"]+" alt="[^"]+"/)
    const wrong = await visitor.submit(page, { code: totpCode(secret, Date.now() + 3_600_000) })
    expect([wrong.status, wrong.alert]).toEqual([403, WRONG])
    expect((await firstStep()).page.url.pathname, 'not confirmed').toBe('/account')
    expect(recoveryCodesIn(await confirmTotp(visitor, secret))).toHaveLength(10)

    const step = await firstStep('/account/devices?page=0')
    expect([step.page.url.pathname, step.page.title]).toEqual(['/login/second-factor', 'Second factor'])
    const refused = await give(step, '000000')
    expect([refused.status, refused.alert]).toEqual([403, WRONG])
    const done = await give(step, nextTotpCode(secret))
    expect([done.status, done.url.pathname, done.url.search]).toEqual([200, '/account/devices', '?page=0'])
  })

  test('does not let anybody in between the steps', async () => {
    await withTotp()
    const { visitor } = await firstStep()
    for (const path of ['/account', FACTORS_PATH, `${FACTORS_PATH}/totp`])
      expect((await visitor.open(path)).url.pathname).toBe('/login')
    const login = await visitor.open('/login')
    expect(login.title).toMatch(/^Sign in to /)
  })

  test('has codes that are good once, also in several processes at the same time', async () => {
    const { secret } = await withTotp()
    const steps = [await firstStep(), await firstStep(), await firstStep()]
    const code = nextTotpCode(secret)
    const pages = await Promise.all(steps.map((step) => give(step, code)))
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 403, 403])
    expect((await give(steps[pages.findIndex(({ status }) => status === 403)]!, code)).status).toBe(403)
  })

  test('can be replaced, and removed with its recovery codes', async () => {
    const { secret } = await withTotp()
    const step = await firstStep(FACTORS_PATH)
    await give(step, nextTotpCode(secret))
    const other = await beginTotp(step.visitor)
    expect(other).not.toBe(secret)
    expect((await confirmTotp(step.visitor, other)).url.pathname).toBe(FACTORS_PATH)
    expect((await give(await firstStep(), nextTotpCode(secret))).status).toBe(403)
    expect((await give(await firstStep(), nextTotpCode(other))).url.pathname).toBe('/account')
    const page = await step.visitor.submit(await step.visitor.open(FACTORS_PATH), {}, { do: 'remove-totp' })
    expect(page.text).toContain('Your account has no second factor.')
    expect((await firstStep()).page.url.pathname).toBe('/account')
  })
})

describe('recovery codes', () => {
  test('are good once, also in several processes at the same time', async () => {
    const { recoveryCodes } = await withTotp()
    const steps = [await firstStep(), await firstStep(), await firstStep()]
    const pages = await Promise.all(steps.map((step) => give(step, recoveryCodes[0]!, 'recovery')))
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 403, 403])
    expect((await give(await firstStep(), recoveryCodes[1]!.toUpperCase(), 'recovery')).status).toBe(200)
  })

  test('can be made again, which ends the earlier ones', async () => {
    const { secret, recoveryCodes } = await withTotp()
    const step = await firstStep(FACTORS_PATH)
    const list = await give(step, nextTotpCode(secret))
    expect(list.text).toContain('You have 10 unused recovery codes.')
    const renewed = recoveryCodesIn(await step.visitor.submit(list, {}, { do: 'renew-codes' }))
    expect(renewed).toHaveLength(10)
    const old = await give(await firstStep(), recoveryCodes[0]!, 'recovery')
    expect([old.status, old.alert]).toEqual([403, 'This recovery code is wrong, or it was used before.'])
    expect((await give(await firstStep(), renewed[0]!, 'recovery')).status).toBe(200)
  })

  test('of one account are worth nothing for another', async () => {
    const { recoveryCodes } = await withTotp()
    user = await registerUser(url)
    await withTotp()
    expect((await give(await firstStep(), recoveryCodes[0]!, 'recovery')).status).toBe(403)
  })
})

describe('/login with a password', () => {
  test('names app passwords for an account with a second factor, only to who knows the password', async () => {
    expect((await logIn(user.userId, password)).status).toBe(200)
    await withTotp()
    const refused = await logIn(user.userId, password)
    expect([refused.status, refused.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(refused.body.error).toMatch(/second factor.*app password.*\/account\/tokens/)
    const wrong = await logIn(user.userId, 'wrong')
    expect([wrong.status, wrong.body]).toEqual([403, (await logIn(uniqueName(), 'wrong')).body])
  })

  test('is not affected by a set-up that was not finished', async () => {
    await beginTotp((await firstStep()).visitor)
    expect((await logIn(user.userId, password)).status).toBe(200)
  })
})

describe('a passkey', () => {
  let origin: string
  beforeAll(async () => {
    const { body } = await ask(url, { method: 'GET', path: '/.well-known/matrix/client' })
    origin = new URL(body['m.homeserver'].base_url).origin
  })
  const device = () => createAuthenticator({ origin })

  async function add(visitor: Visitor, authenticator = device(), name = 'Phone'): Promise<VisitedPage> {
    const page = await visitor.open(FACTORS_PATH)
    const credential = authenticator.create(passkeyOptionsIn(page))
    return visitor.submit(page, { credential, name }, { do: 'add-passkey' })
  }

  test('signs in alone, and is the second factor after the password', async () => {
    const authenticator = device()
    const added = await add((await firstStep()).visitor, authenticator)
    expect(recoveryCodesIn(added)).toHaveLength(10)

    const visitor = newVisitor(url)
    const login = await visitor.open('/login?continue=/account/second-factor')
    const credential = authenticator.get(passkeyOptionsIn(login))
    const alone = await visitor.submit(login, { credential }, { do: 'passkey' })
    expect([alone.status, alone.url.pathname]).toEqual([200, FACTORS_PATH])
    expect(alone.text).toContain('>Phone</strong>')
    expect(alone.text).toContain(user.userId)
    expect(alone.text).toContain('Last used on')

    const step = await firstStep()
    expect(step.page.url.pathname).toBe('/login/second-factor')
    const answer = authenticator.get(passkeyOptionsIn(step.page), { verifiesUser: false })
    const done = await step.visitor.submit(step.page, { credential: answer }, { do: 'passkey' })
    expect([done.status, done.url.pathname]).toEqual([200, '/account'])
    expect((await logIn(user.userId, password)).status).toBe(403)
  })

  test('has answers that are good once, for one browser and one purpose', async () => {
    const authenticator = device()
    await add((await firstStep()).visitor, authenticator)
    const visitor = newVisitor(url)
    const login = await visitor.open('/login')
    const credential = authenticator.get(passkeyOptionsIn(login))
    const thief = newVisitor(url)
    const stolen = await thief.submit(await thief.open('/login'), { credential }, { do: 'passkey' })
    expect([stolen.status, stolen.alert]).toEqual([403, 'The passkey was not accepted. Try again.'])
    const twin = newVisitor(url)
    for (const [name, value] of visitor.cookies) twin.cookies.set(name, value)
    const submit = (each: Visitor) => each.submit(login, { credential }, { do: 'passkey' })
    const pages = await Promise.all([visitor, twin].map(submit))
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 403])
    const step = await firstStep()
    const answer = authenticator.get(passkeyOptionsIn(login))
    expect((await step.visitor.submit(step.page, { credential: answer }, { do: 'passkey' })).status).toBe(403)
  })

  test('signs in alone only if it has verified its user', async () => {
    const authenticator = device()
    await add((await firstStep()).visitor, authenticator)
    const visitor = newVisitor(url)
    const login = await visitor.open('/login')
    const credential = authenticator.get(passkeyOptionsIn(login), { verifiesUser: false })
    expect((await visitor.submit(login, { credential }, { do: 'passkey' })).status).toBe(403)
  })

  test('can be renamed and removed by its user only', async () => {
    const authenticator = device()
    const { visitor } = await firstStep()
    await add(visitor, authenticator)
    const page = await visitor.open(FACTORS_PATH)
    const renamed = await visitor.submit(page, { name: '<b>Key' }, { do: 'rename-passkey' })
    expect([renamed.status, renamed.text]).toEqual([200, expect.stringContaining('>&#60;b&#62;Key</strong>')])
    const { passkey } = page.forms.find(({ fields }) => fields.do === 'remove-passkey')!.fields as { passkey: string }

    const owner = user
    user = await registerUser(url)
    const other = (await firstStep()).visitor
    await add(other)
    for (const id of [passkey, 'unknown', 'a b', '']) {
      const foreign = await other.submit(await other.open(FACTORS_PATH), { passkey: id }, { do: 'remove-passkey' })
      expect([foreign.status, foreign.alert]).toEqual([404, 'This second factor does not exist any more.'])
    }
    user = owner
    expect((await visitor.submit(renamed, {}, { do: 'remove-passkey' })).text).toContain('has no second factor')
    expect((await firstStep()).page.url.pathname).toBe('/account')
  })

  test.each(['', 'null', '{}', '[]', '{"id":"\\u0000"}', 'xxx'])('is refused as the text %j', async (credential) => {
    const { visitor } = await firstStep()
    const added = await visitor.submit(await visitor.open(FACTORS_PATH), { credential }, { do: 'add-passkey' })
    expect([added.status, added.alert]).toEqual([403, 'The passkey was not accepted. Try again.'])
    const stranger = newVisitor(url)
    const login = await stranger.submit(await stranger.open('/login'), { credential }, { do: 'passkey' })
    expect([login.status, login.alert]).toEqual([403, 'The passkey was not accepted. Try again.'])
  })
})

test.each(['constructor', '__proto__', 'toString', 'unknown', ''])('the change %j does nothing', async (change) => {
  const visitor = newVisitor(url)
  await signIn(visitor, user)
  const form = await visitor.open(FACTORS_PATH)
  const page = await visitor.submit(form, { do: change })
  expect([page.status, page.title, page.url.pathname]).toEqual([200, form.title, FACTORS_PATH])
})

test('without the first step, the page of the second leads to the sign-in', async () => {
  const visitor = newVisitor(url)
  expect((await visitor.open('/login/second-factor?continue=/account')).url.pathname).toBe('/login')
})

test('a sign-in with a wrong password reveals no second factor', async () => {
  const wrong = async (name: string) => {
    const visitor = newVisitor(url)
    const { status, alert, text } = await visitor.submit(await visitor.open('/login'), {
      user: name,
      password: 'wrong',
    })
    const varying = /name="csrf" value="[^"]*"|data-options="[^"]*"/g
    return { status, alert, text: text.replaceAll(varying, '').replaceAll(name, '') }
  }
  const before = await wrong(user.userId)
  await withTotp()
  expect(await wrong(user.userId)).toEqual(before)
  expect(await wrong(`@${uniqueName()}:hearth.test`)).toEqual(before)
})

test('the second step leads nowhere else, and refuses what is no code', async () => {
  const { recoveryCodes } = await withTotp()
  const visitor = newVisitor(url)
  await signIn(visitor, user, '/account/devices')
  const page = await visitor.open('/login/second-factor?continue=https%3A%2F%2Fevil.example%2F')
  for (const [given, way] of [
    ['', 'totp'],
    ['x'.repeat(1000), 'totp'],
    ['', 'recovery'],
    ['"><b>', 'recovery'],
  ] as const) {
    const refused = await visitor.submit(page, { code: given }, { do: way })
    expect([refused.status, refused.text.includes('"><b>')]).toEqual([403, false])
  }
  expect((await visitor.submit(page, { code: recoveryCodes[0]!, csrf: 'forged' }, { do: 'recovery' })).status).toBe(403)
  const done = await visitor.submit(page, { code: recoveryCodes[0]! }, { do: 'recovery' })
  expect([done.status, done.url.pathname]).toEqual([200, '/account'])
})

test('a sign-in for a client goes on after the second step', async () => {
  const { secret } = await withTotp()
  const visitor = newVisitor(url)
  const attempt = authorization(await registerClient(url))
  const step = await visitor.submit(await visitor.open(attempt.path), { user: user.userId, password })
  expect(step.url.pathname).toBe('/login/second-factor')
  const consent = await visitor.submit(step, { code: nextTotpCode(secret) }, { do: 'totp' })
  expect(consent.url.pathname).toMatch(/^\/consent\//)
  const code = replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!
  const { status, body } = await exchange(url, attempt, code)
  expect([status, body.token_type]).toEqual([200, 'Bearer'])
})
