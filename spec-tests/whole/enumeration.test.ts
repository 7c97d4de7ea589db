import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { SHARED_SECRET, startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import { authorization, type OAuthTestClient, registerClient } from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import { linkTo, PASSWORD } from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'
import { setUpTotp } from '../harness/second-factor.ts'

/**
 * Without a proof of identity, no response reveals whether an account exists: not by its body, status or time.
 * Passwords cost more than by default, so that a check that is left out would show.
 */
let mails: MailServer
let hearth: TestHearth
let url: string
let client: OAuthTestClient
/** A name and an address of an account in each condition; `missing` has none. */
type Condition = 'usual' | 'second factor' | 'locked' | 'deactivated' | 'missing'
const accounts = {} as Record<Condition, { name: string; address: string }>

beforeAll(async () => {
  mails = await startMailServer()
  hearth = await startHearth({
    config: {
      passwords: { memory_kib: 32_768, iterations: 2 },
      email: { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false, notices: { sign_in: false } },
    },
  })
  ;({ url } = hearth)
  client = await registerClient(url)
  const admin = await registerAdmin(url)
  for (const condition of ['usual', 'second factor', 'locked', 'deactivated'] as const) {
    const name = uniqueName('known')
    const user = await registerUser(url, name)
    const address = `${name}@example.org`
    await addAddress(user, address)
    accounts[condition] = { name, address }
    await bringAbout[condition]?.(user, admin)
  }
  const missing = uniqueName('known')
  accounts.missing = { name: missing, address: `${missing}@example.org` }
})
afterAll(async () => {
  await hearth?.dispose()
  await mails?.stop()
})

const proofOf = ({ userId: user }: TestUser) => ({ type: 'm.login.password', user, password: PASSWORD })

async function addAddress(user: TestUser, email: string): Promise<void> {
  const client_secret = uniqueName('secret')
  const asked = { email, client_secret, send_attempt: 1 }
  const { sid } = await user.post(`${v3}/account/3pid/email/requestToken`, asked)
  await fetch(await linkTo({ mails } as Parameters<typeof linkTo>[0], email), { method: 'POST' })
  await user.post(`${v3}/account/3pid/add`, { sid, client_secret, auth: proofOf(user) })
}

const bringAbout: Partial<Record<Condition, (user: TestUser, admin: TestUser) => Promise<unknown>>> = {
  'second factor': async (user) => {
    const visitor = newVisitor(url)
    await signIn(visitor, user)
    await setUpTotp(visitor)
  },
  locked: (user, admin) => admin.put(`/_matrix/client/v1/admin/lock/${user.userId}`, { locked: true }),
  deactivated: (user) => user.post(`${v3}/account/deactivate`, { auth: proofOf(user) }),
}

/** An answer without what the request itself was, and without what is new in each. */
type Shown = { status: number; text: string }

function shown({ status, text }: Shown, { name, address }: { name: string; address: string }): Shown {
  const plain = text
    .replaceAll(address, 'ADDRESS')
    .replaceAll(name, 'NAME')
    .replace(/name="csrf" value="[^"]*"/g, '')
    .replace(/"(sid|session)":"[^"]*"/g, '')
    .replace(/data-options="[^"]*"/g, '')
    .replace(/(\/|%2F)consent(\/|%2F)[\w-]+/g, '')
  return { status, text: plain }
}

const asText = ({ status, body }: { status: number; body: unknown }) => ({ status, text: JSON.stringify(body) })

type Attempt = (account: { name: string; address: string }) => Promise<Shown>

const ATTEMPTS: [string, Attempt][] = [
  [
    'POST /login with a name',
    async ({ name: user }) => {
      const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: 'wrong' }
      return asText(await ask(url, { method: 'POST', path: `${v3}/login`, body }))
    },
  ],
  [
    'POST /login with an address',
    async ({ address }) => {
      const identifier = { type: 'm.id.thirdparty', medium: 'email', address }
      const body = { type: 'm.login.password', identifier, password: 'wrong' }
      return asText(await ask(url, { method: 'POST', path: `${v3}/login`, body }))
    },
  ],
  ['the sign-in page with a name', ({ name }) => signIn(newVisitor(url), { userId: name, password: 'wrong' })],
  [
    'the sign-in page with an address',
    ({ address }) => signIn(newVisitor(url), { userId: address, password: 'wrong' }),
  ],
  ['the sign-in page with a hint', ({ name }) => newVisitor(url).open(`/login?login_hint=mxid:@${name}:hearth.test`)],
  [
    'the page for forgotten passwords',
    async ({ address }) => {
      const visitor = newVisitor(url)
      return visitor.submit(await visitor.open('/password/forgotten'), { email: address })
    },
  ],
  [
    'a mail for a forgotten password',
    async ({ address: email }) => {
      const body = { email, client_secret: uniqueName('secret'), send_attempt: 1 }
      return asText(await ask(url, { method: 'POST', path: `${v3}/account/password/email/requestToken`, body }))
    },
  ],
  [
    'a mail for a registration',
    async ({ address: email }) => {
      const body = { email, client_secret: uniqueName('secret'), send_attempt: 1 }
      return asText(await ask(url, { method: 'POST', path: `${v3}/register/email/requestToken`, body }))
    },
  ],
  [
    'an authorization request with a hint',
    ({ name }) => {
      const { path } = authorization(client, { login_hint: `mxid:@${name}:hearth.test` })
      return newVisitor(url).open(path)
    },
  ],
]

describe.each(ATTEMPTS)('%s', (_, attempt) => {
  test.each(['usual', 'second factor', 'locked', 'deactivated'] as const)(
    'answers alike for the account: %s',
    async (condition) => {
      const [existing, missing] = [accounts[condition], accounts.missing]
      expect(shown(await attempt(existing), existing)).toEqual(shown(await attempt(missing), missing))
    },
  )

  test('takes as long with an account', { retry: 2 }, async () => {
    const times: Record<'existing' | 'missing', number[]> = { existing: [], missing: [] }
    for (let round = 0; round < ROUNDS; round++) {
      // By turns, so that the machine is as busy for both.
      for (const which of round % 2 === 0 ? (['existing', 'missing'] as const) : (['missing', 'existing'] as const)) {
        const began = performance.now()
        await attempt(which === 'existing' ? accounts.usual : accounts.missing)
        times[which].push(performance.now() - began)
      }
    }
    const [existing, missing] = [median(times.existing), median(times.missing)]
    const bound = Math.max(UNNOTICED_MS, SHARE * Math.max(existing, missing))
    expect(Math.abs(existing - missing), `${existing} and ${missing} ms`).toBeLessThan(bound)
  })
})

test('the registration page answers alike for an address with an account', async () => {
  const email = { smtp_url: mails.url, from: 'hearth@hearth.test', require_tls: false, notices: { sign_in: false } }
  const registration = { enabled: true, requires_email: true, shared_secret: SHARED_SECRET }
  const mailing = await startHearth({ config: { email, registration } })
  try {
    const known = `${uniqueName('known')}@example.org`
    await addAddress(await registerAdmin(mailing.url), known)
    const register = async (address: string) => {
      const visitor = newVisitor(mailing.url)
      const fields = { user: 'newcomer', password: PASSWORD, email: address }
      return shown(await visitor.submit(await visitor.open('/register'), fields), { name: 'newcomer', address })
    }
    const answers = [await register(known), await register(`${uniqueName('known')}@example.org`)]
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]).toMatchObject({ status: 200, text: expect.stringContaining('ADDRESS') })
  } finally {
    await mailing.dispose()
  }
})

const ROUNDS = 15
/** A password check takes many times as long. */
const UNNOTICED_MS = 8
const SHARE = 0.5

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}
