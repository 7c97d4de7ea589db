import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { newVisitor } from '../harness/page-visitor.ts'
import { startTextGateway, type TextGateway } from '../harness/text-gateway.ts'

/** Phone numbers of accounts, with a gateway for text messages. */
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'

let gateway: TextGateway
let hearth: TestHearth
let strict: TestHearth
beforeAll(async () => {
  gateway = await startTextGateway()
  const phone = { gateway_url: gateway.url, gateway_token: gateway.token, allowed_countries: ['de', 'CH'] }
  ;[hearth, strict] = await Promise.all([
    startHearth({ config: { phone } }),
    startHearth({ config: { phone, registration: { enabled: true, requires_phone: true } } }),
  ])
})
afterAll(async () => {
  await hearth?.dispose()
  await strict?.dispose()
  await gateway?.stop()
})

let used = 0
/** A number as Germans write it, and with the country code. */
function newNumber(): { country: string; phone_number: string; full: string } {
  const digits = `170${String(1_000_000 + used++)}`
  return { country: 'DE', phone_number: `0${digits.slice(0, 3)} ${digits.slice(3)}`, full: `+49${digits}` }
}

const post = (path: string, body: object, url = hearth.url) => ask(url, { method: 'POST', path: v3 + path, body })

function requestToken(place: string, number: { country: string; phone_number: string }, more: object = {}) {
  const { country, phone_number } = number
  return post(`${place}/msisdn/requestToken`, {
    country,
    phone_number,
    client_secret: 'secret',
    send_attempt: 1,
    ...more,
  })
}

async function codeTo(number: string, count = 1): Promise<string> {
  const texts = await pollUntil(`${count} texts arrive`, () => gateway.to(number).length >= count && gateway.to(number))
  return /^(\d{6}) is your code for hearth\.test/.exec(texts[count - 1]!)![1]!
}

async function submit(url: string, sid: string, token: string): Promise<boolean> {
  const body = { sid, client_secret: 'secret', token }
  return (await ask(hearth.url, { method: 'POST', path: new URL(url).pathname, body })).body.success
}

/** Verifies a number, and returns the credentials for it. */
async function prove(place: string, number: ReturnType<typeof newNumber>) {
  const before = gateway.to(number.full).length
  const { status, body } = await requestToken(place, number)
  expect([status, body.msisdn]).toEqual([200, number.full.slice(1)])
  expect(await submit(body.submit_url, body.sid, await codeTo(number.full, before + 1))).toBe(true)
  return { sid: body.sid as string, client_secret: 'secret' }
}

async function withNumber(): Promise<{ user: TestUser; number: ReturnType<typeof newNumber> }> {
  const [user, number] = [await registerUser(hearth.url), newNumber()]
  const threepid = await prove('/account/3pid', number)
  const auth = { type: 'm.login.password', user: user.userId, password }
  expect((await user.ask('POST', `${v3}/account/3pid/add`, { ...threepid, auth })).status).toBe(200)
  return { user, number }
}

const logIn = (identifier: object, given = password) =>
  post('/login', { type: 'm.login.password', identifier, password: given })

describe('a phone number', () => {
  test('is verified at registration, and then names the account', async () => {
    const body = { username: uniqueName(), password }
    const first = (await post('/register', body)).body
    expect(first.flows).toEqual([{ stages: ['m.login.dummy'] }, { stages: ['m.login.msisdn'] }])
    const number = newNumber()
    const { sid, submit_url } = (await requestToken('/register', number)).body
    const creds = { sid, client_secret: 'secret' }
    const auth = { type: 'm.login.msisdn', session: first.session, threepid_creds: creds }
    expect((await post('/register', { ...body, auth })).body.errcode).toBe('M_UNAUTHORIZED')
    const code = await codeTo(number.full)
    expect(gateway.requests.at(-1)!.authorization).toBe(`Bearer ${gateway.token}`)
    expect(await submit(submit_url, sid, code === '000000' ? '000001' : '000000')).toBe(false)
    expect(await submit(submit_url, sid, ` ${code.slice(0, 3)} ${code.slice(3)} `)).toBe(true)
    // Proof of a number is none of an address.
    const wrong = { ...auth, type: 'm.login.email.identity' }
    expect((await post('/register', { ...body, auth: wrong })).status).toBe(401)
    const user = asUser(hearth.url, (await post('/register', { ...body, auth })).body)
    const { threepids } = await user.get(`${v3}/account/3pid`)
    expect(threepids).toMatchObject([{ medium: 'msisdn', address: number.full.slice(1) }])
    for (const identifier of [
      { type: 'm.id.phone', country: 'DE', phone: number.phone_number },
      { type: 'm.id.phone', country: 'FR', phone: number.full },
      { type: 'm.id.thirdparty', medium: 'msisdn', address: number.full.slice(1) },
    ])
      expect((await logIn(identifier)).body.user_id).toBe(user.userId)
    expect((await logIn({ type: 'm.id.phone', country: 'DE', phone: 'nonsense' })).status).toBe(403)
  })

  test('has a code that five wrong guesses end', async () => {
    const number = newNumber()
    const { sid, submit_url } = (await requestToken('/register', number)).body
    const code = await codeTo(number.full)
    for (let guess = 1; guess <= 5; guess++)
      expect(await submit(submit_url, sid, String((Number(code) + guess) % 1_000_000).padStart(6, '0'))).toBe(false)
    expect(await submit(submit_url, sid, code)).toBe(false)
    // A new code has guesses of its own; rate_limits.text_message limits new codes.
    const again = (await requestToken('/register', number, { send_attempt: 2 })).body
    expect(await submit(submit_url, again.sid, await codeTo(number.full, 2))).toBe(true)
  })

  test('gets one text for each attempt', async () => {
    const number = newNumber()
    const first = (await requestToken('/register', number)).body
    expect((await requestToken('/register', number)).body).toEqual(first)
    await codeTo(number.full)
    expect(gateway.to(number.full)).toHaveLength(1)
  })

  test('is added to an account, resets its password, and is removed', async () => {
    const { user, number } = await withNumber()
    const forgotten = { new_password: 'another horse battery' }
    const { session, flows } = (await post('/account/password', forgotten)).body
    expect(flows).toEqual([{ stages: ['m.login.msisdn'] }])
    const threepid_creds = await prove('/account/password', number)
    const auth = { type: 'm.login.msisdn', session, threepid_creds }
    expect((await post('/account/password', { ...forgotten, auth })).status).toBe(200)
    expect((await user.ask('GET', `${v3}/account/whoami`)).status).toBe(401)
    const login = await logIn({ type: 'm.id.user', user: user.userId }, 'another horse battery')
    const again = asUser(hearth.url, login.body)
    await again.post(`${v3}/account/3pid/delete`, { medium: 'msisdn', address: number.full.slice(1) })
    expect((await again.get(`${v3}/account/3pid`)).threepids).toEqual([])
  })

  test('with and without an account gets the same answer, and its owner a text that says so', async () => {
    const { number } = await withNumber()
    const strange = newNumber()
    for (const [place, text, to] of [
      ['/register', 'belongs to an account', number],
      ['/account/password', 'No account', strange],
    ] as const) {
      const [known, unknown] = [await requestToken(place, number), await requestToken(place, strange)]
      expect([known.status, Object.keys(known.body)]).toEqual([unknown.status, Object.keys(unknown.body)])
      await pollUntil('the owner gets a text message', () => gateway.to(to.full).some((each) => each.includes(text)))
    }
  })

  test.each([
    ['DE', '12', 'M_INVALID_PARAM'],
    ['DE', 'not a number', 'M_INVALID_PARAM'],
    ['', '0170 1234567', 'M_INVALID_PARAM'],
    ['DE', '9'.repeat(10_000), 'M_INVALID_PARAM'],
    ['FR', '06 12 34 56 78', 'M_THREEPID_DENIED'],
    ['DE', '+33 6 12 34 56 78', 'M_THREEPID_DENIED'],
  ])('%s %s is refused', async (country, phone_number, errcode) => {
    expect((await requestToken('/register', { country, phone_number })).body.errcode).toBe(errcode)
  })

  test('gets its code from a gateway that was down', async () => {
    const number = newNumber()
    gateway.refuse(1)
    expect((await requestToken('/register', number)).status).toBe(200)
    expect(await codeTo(number.full)).toMatch(/^\d{6}$/)
  })

  test('is verified on the page of its stage', async () => {
    const body = { username: uniqueName(), password }
    const { session } = (await post('/register', body)).body
    const [visitor, number] = [newVisitor(hearth.url), newNumber()]
    const form = await visitor.open(`${v3}/auth/m.login.msisdn/fallback/web?session=${session}`)
    const question = await visitor.submit(form, { phone: number.full })
    const code = await codeTo(number.full)
    const wrong = await visitor.submit(question, { code: code === '000000' ? '1' : '000000' })
    expect([wrong.status, wrong.alert]).toEqual([400, 'The code is wrong or has expired.'])
    expect((await visitor.submit(wrong, { code })).title).toBe('Thank you')
    expect((await post('/register', { ...body, auth: { session } })).status).toBe(200)
  })
})

test('a registration page that requires a number asks for its code', async () => {
  const [visitor, number, name] = [newVisitor(strict.url), newNumber(), uniqueName()]
  const form = await visitor.open('/register')
  const refused = await visitor.submit(form, { user: name, password, phone: '12' })
  expect([refused.status, refused.forms[0]!.fields.phone]).toEqual([400, '12'])
  expect(refused.text).toMatch(/<input[^>]*name="phone"[^>]*aria-invalid="true"/)
  const foreign = await visitor.submit(form, { user: name, password, phone: '+33 6 12 34 56 78' })
  expect(foreign.text).toMatch(/<input[^>]*name="phone"[^>]*aria-invalid="true"/)
  const waiting = await visitor.submit(form, { user: name, password, phone: number.full })
  expect(waiting.url.pathname).toBe('/register/confirm')
  const code = await codeTo(number.full)
  const wrong = await visitor.submit(waiting, { code: code === '000000' ? '1' : '000000' }, { do: 'finish' })
  expect([wrong.status, wrong.alert]).toEqual([403, 'The code is wrong or has expired.'])
  await visitor.submit(wrong, {}, { do: 'again' })
  const second = await codeTo(number.full, 2)
  expect((await newVisitor(strict.url).submit(waiting, { code: second }, { do: 'finish' })).status).toBe(403)
  expect((await visitor.submit(waiting, { code: second }, { do: 'finish' })).url.pathname).toBe('/account')
  expect((await visitor.open('/account')).text).toContain(`@${name}:`)
})
