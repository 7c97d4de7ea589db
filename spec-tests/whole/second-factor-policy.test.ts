import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { ask, registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { startMailServer } from '../harness/mail-server.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import {
  beginTotp,
  confirmTotp,
  FACTORS_PATH,
  nextTotpCode,
  recoveryCodesIn,
  setUpTotp,
} from '../harness/second-factor.ts'

/** The policy on second factors, their limits and their mails. */
const password = 'correct horse battery'

const logIn = (url: string, { userId }: TestUser) =>
  ask(url, {
    method: 'POST',
    path: '/_matrix/client/v3/login',
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: userId }, password },
  })

describe('second factors that are required of all users', () => {
  let hearth: TestHearth
  beforeAll(async () => {
    hearth = await startHearth({ config: { second_factor: 'required' } })
  })
  afterAll(() => hearth?.dispose())

  test('are set up after the password, before anything else, and the sign-in goes on', async () => {
    const user = await registerUser(hearth.url)
    const refused = await logIn(hearth.url, user)
    expect([refused.status, refused.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    expect(refused.body.error).toMatch(/requires a second factor.*\/account\/second-factor/)

    const visitor = newVisitor(hearth.url)
    const first = await signIn(visitor, user, '/account?action=org.matrix.profile')
    expect([first.url.pathname, first.alert]).toEqual([
      FACTORS_PATH,
      'This server requires a second factor. Set one up to go on.',
    ])
    const sso = `/_matrix/client/v3/login/sso/redirect?redirectUrl=${encodeURIComponent('https://client.example/')}`
    for (const path of ['/account', '/device', sso]) {
      const page = await visitor.open(path)
      expect([page.url.pathname, page.url.searchParams.get('continue')]).toEqual([FACTORS_PATH, path])
    }
    const begun = await visitor.submit(first, {}, { do: 'begin-totp' })
    const secret = /<code>([A-Z2-7 ]+)<\/code>/.exec(begun.text)![1]!.replaceAll(' ', '')
    const codes = await confirmTotp(visitor, secret, begun)
    expect(recoveryCodesIn(codes)).toHaveLength(10)
    expect(codes.text).toContain('href="/account?action=org.matrix.profile"')
    expect((await visitor.open('/account')).url.pathname).toBe('/account')
    const last = await visitor.submit(await visitor.open(FACTORS_PATH), {}, { do: 'remove-totp' })
    expect([last.status, last.alert]).toEqual([403, expect.stringContaining('Add another one')])
  })
})

describe('second factors that are required of administrators', () => {
  let hearth: TestHearth
  beforeAll(async () => {
    hearth = await startHearth({ config: { second_factor: 'required_for_admins' } })
  })
  afterAll(() => hearth?.dispose())

  test('are not required of others', async () => {
    const [user, admin] = await Promise.all([registerUser(hearth.url), registerAdmin(hearth.url)])
    expect([(await logIn(hearth.url, user)).status, (await logIn(hearth.url, admin)).status]).toEqual([200, 403])
    expect((await signIn(newVisitor(hearth.url), user)).url.pathname).toBe('/account')
    expect((await signIn(newVisitor(hearth.url), admin)).url.pathname).toBe(FACTORS_PATH)
  })
})

test('second factors that are off cannot be added, and existing ones stay in force', async () => {
  const postgres = await startPostgres()
  const databaseUrl = await postgres.createDatabase()
  const before = await startHearth({ databaseUrl })
  const user = await registerUser(before.url)
  const earlier = newVisitor(before.url)
  await signIn(earlier, user)
  const { secret } = await setUpTotp(earlier)
  await before.dispose()
  const hearth = await startHearth({ databaseUrl, publicHost: 'localhost', config: { second_factor: 'off' } })
  try {
    const other = newVisitor(hearth.url)
    const page = await signIn(other, await registerUser(hearth.url), FACTORS_PATH)
    expect(page.text).toContain('This server does not use second factors.')
    expect((await other.open('/account')).text).not.toContain(FACTORS_PATH)
    expect([page.forms, (await other.open('/login')).text.includes('data-passkey')]).toEqual([[], false])
    const visitor = newVisitor(hearth.url)
    const step = await signIn(visitor, user, FACTORS_PATH)
    const list = await visitor.submit(step, { code: nextTotpCode(secret) }, { do: 'totp' })
    expect((await visitor.open('/account')).text).toContain(`href="${FACTORS_PATH}"`)
    expect(list.forms.map(({ fields }) => fields.do)).toEqual(['remove-totp', 'renew-codes'])
    expect((await visitor.submit(list, {}, { do: 'remove-totp' })).status).toBe(200)
    expect((await signIn(newVisitor(hearth.url), user)).url.pathname).toBe('/account')
  } finally {
    await hearth.dispose()
    await postgres.stop()
  }
})

test('wrong codes of an account are limited over all processes, and other accounts are not held up', async () => {
  const postgres = await startPostgres()
  const databaseUrl = await postgres.createDatabase()
  const many = { per_second: 1000, burst: 1000 }
  const rate_limits = { enabled: true, login: many, registration: many }
  const hearths = await Promise.all([1, 2, 3].map(() => startHearth({ databaseUrl, config: { rate_limits } })))
  try {
    const [first] = hearths as [TestHearth]
    const withTotp = async () => {
      const user = await registerUser(first.url)
      const visitor = newVisitor(first.url)
      await signIn(visitor, user)
      return { user, ...(await setUpTotp(visitor)) }
    }
    const [alice, bob] = [await withTotp(), await withTotp()]
    const attempts = await Promise.all(
      Array.from({ length: 15 }, async (_, count) => {
        const visitor = newVisitor(hearths[count % 3]!.url)
        const step = await signIn(visitor, alice.user)
        const way = count % 2 ? { code: '000000', do: 'totp' } : { code: 'aaaa-aaaa-aaaa-aaaa', do: 'recovery' }
        return visitor.submit(step, { code: way.code }, { do: way.do })
      }),
    )
    expect(attempts.filter(({ status }) => status === 403)).toHaveLength(10)
    const limited = attempts.filter(({ status }) => status === 429)
    expect(limited.map(({ alert }) => alert)).toEqual(Array(5).fill('Too many attempts. Wait a while and try again.'))
    const right = newVisitor(hearths[1]!.url)
    const late = await right.submit(
      await signIn(right, alice.user),
      { code: nextTotpCode(alice.secret) },
      { do: 'totp' },
    )
    expect(late.status, 'also the right code').toBe(429)
    const other = newVisitor(hearths[2]!.url)
    const done = await other.submit(await signIn(other, bob.user), { code: nextTotpCode(bob.secret) }, { do: 'totp' })
    expect(done.url.pathname).toBe('/account')
  } finally {
    await Promise.all(hearths.map((hearth) => hearth.dispose()))
    await postgres.stop()
  }
})

test('the user gets a mail when a second factor is added or removed', async () => {
  const mails = await startMailServer()
  const email = { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false }
  const hearth = await startHearth({ config: { email } })
  try {
    const user = await registerUser(hearth.url)
    const address = 'anna@example.org'
    const client_secret = 'secret'
    const asked = await user.post('/_matrix/client/v3/account/3pid/email/requestToken', {
      client_secret,
      email: address,
      send_attempt: 1,
    })
    const link = await pollUntil('a mail arrives', () => mails.to(address)[0]?.text?.match(/http:\/\/\S+/)?.[0])
    await fetch(link, { method: 'POST' })
    const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password }
    const { session } = (await user.ask('POST', '/_matrix/client/v3/account/3pid/add', {})).body
    await user.post('/_matrix/client/v3/account/3pid/add', {
      client_secret,
      sid: asked.sid,
      auth: { ...auth, session },
    })

    const visitor = newVisitor(hearth.url)
    await signIn(visitor, user)
    await confirmTotp(visitor, await beginTotp(visitor))
    await visitor.submit(await visitor.open(FACTORS_PATH), {}, { do: 'remove-totp' })
    const notices = await pollUntil('both mails arrive', () => {
      const texts = mails.to(address).map(({ text }) => text ?? '')
      const found = texts.filter((text) => text.includes('An authenticator app was'))
      return found.length === 2 && found.sort()
    })
    expect(notices).toEqual([
      expect.stringContaining(`added to your account ${user.userId}`),
      expect.stringContaining(`removed from your account ${user.userId}`),
    ])
  } finally {
    await hearth.dispose()
    await mails.stop()
  }
})
