import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type CasServer, startCasServer } from '../harness/cas-server.ts'
import { registerAdmin, registerUser, uniqueName } from '../harness/client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { type Hearths, startHearths } from '../harness/several-hearths.ts'

/** Sign-in at a CAS server, which is the only provider, with passwords hidden; on three processes. */
let hearth: Hearths
let cas: CasServer
beforeAll(async () => {
  cas = await startCasServer()
  const campus = { kind: 'cas', id: 'campus', name: 'Campus', server_url: `${cas.url}/`, trust_email: true }
  const providers = [{ ...campus, on_conflict: 'link' }]
  hearth = await startHearths(3, { identity_providers: providers, sign_in: { passwords: 'hidden' } })
})
afterEach(() => cas.answerWith(undefined))
afterAll(async () => {
  cas?.close()
  await hearth?.dispose()
})

/** Leaves Hearth for CAS; returns the page of CAS. */
async function leave(visitor: Visitor, on = '/account'): Promise<string> {
  const page = await visitor.open(on)
  const to = /^0; url=(.*)$/.exec(page.headers.get('refresh') ?? '')![1]!
  return (await visitor.open(to)).headers.get('location')!
}

async function signInAt(visitor: Visitor, user: string, attributes: Record<string, string> = {}): Promise<VisitedPage> {
  const back = cas.signIn(await leave(visitor, '/account/profile?from=here'), user, attributes)
  return visitor.open(back.pathname + back.search)
}

const whoIs = (page: VisitedPage) => /@[a-z0-9._=/+-]+:hearth\.test/.exec(page.text)?.[0]

describe('a person of CAS', () => {
  test('is led there at once, gets an account, and signs in to it the next time', async () => {
    const user = uniqueName()
    const page = await signInAt(newVisitor(hearth.url), user, {
      displayName: 'Ünal &amp; Co',
      mail: `${user}@example.org`,
    })
    expect([page.url.pathname, page.url.search]).toEqual(['/account/profile', '?from=here'])
    expect(whoIs(page)).toBe(`@${user}:hearth.test`)
    const profile = await fetch(`${hearth.url}/_matrix/client/v3/profile/@${user}:hearth.test`)
    expect(await profile.json()).toMatchObject({ displayname: 'Ünal & Co' })
    expect(whoIs(await signInAt(newVisitor(hearth.url), user))).toBe(`@${user}:hearth.test`)
  })

  test('is linked to the account of the same name', async () => {
    const alice = await registerUser(hearth.url)
    expect(whoIs(await signInAt(newVisitor(hearth.url), alice.userId.slice(1).split(':')[0]!))).toBe(alice.userId)
  })
})

test('a signed-in user has to prove again who they are', async () => {
  const [visitor, user] = [newVisitor(hearth.url), uniqueName()]
  const first = await leave(visitor)
  expect(cas.asksAgain(first)).toBe(false)
  const back = cas.signIn(first, user)
  await visitor.open(back.pathname + back.search)
  const again = await leave(visitor, '/login?continue=/account')
  expect(cas.asksAgain(again)).toBe(true)
  const ticketless = cas.signIn(again.replace('&renew=true', ''), user)
  const refused = await visitor.open(ticketless.pathname + ticketless.search)
  expect([refused.status, refused.text]).toEqual([502, expect.stringContaining('did not complete the sign-in')])
  const renewed = cas.signIn(await leave(visitor, '/login?continue=/account'), user)
  expect((await visitor.open(renewed.pathname + renewed.search)).url.pathname).toBe('/account')
})

test('a password is asked for on demand', async () => {
  const alice = await registerUser(hearth.url)
  const visitor = newVisitor(hearth.url)
  const page = await visitor.open('/login?choose=1')
  expect(page.headers.get('refresh')).toBeNull()
  expect(page.text).toContain('<details open>')
  expect((await visitor.submit(page, { user: alice.userId, password: 'correct horse battery' })).url.pathname).toBe(
    '/account',
  )
  const closed = await signIn(newVisitor(hearth.url), alice).catch((error) => String(error))
  expect(closed).toContain('no form')
})

describe('a sign-in at CAS that fails', () => {
  test.each([
    [{ status: 503, body: 'out of order' }, 'cannot be reached'],
    [{ status: 404, body: 'no such page' }, 'does not accept requests of this server'],
    [{ status: 200, body: '<html></html>' }, 'is not valid'],
    [{ status: 200, body: '' }, 'is not valid'],
    [{ status: 302, body: '' }, 'does not accept requests of this server'],
  ])('because of the answer %j shows so, and keeps what it was for', async (answer, text) => {
    cas.answerWith(answer)
    const page = await signInAt(newVisitor(hearth.url), uniqueName())
    expect([page.status, page.alert]).toEqual([502, expect.stringContaining(text)])
    expect(page.text).toContain(`/upstream/campus/start?continue=${encodeURIComponent('/account/profile?from=here')}`)
  })

  test('because the ticket is missing, unknown, used, or of another sign-in', async () => {
    const visitor = newVisitor(hearth.url)
    const back = cas.signIn(await leave(visitor), uniqueName())
    const ticket = back.searchParams.get('ticket')!
    const other = newVisitor(hearth.url)
    const otherBack = new URL(new URL(await leave(other)).searchParams.get('service')!)
    otherBack.searchParams.set('ticket', ticket)
    const page = await other.open(otherBack.pathname + otherBack.search)
    expect([page.status, page.alert]).toEqual([502, expect.stringContaining('did not complete the sign-in')])
    for (const given of ['', '&ticket=', '&ticket=ST-unknown']) {
      const third = newVisitor(hearth.url)
      const service = new URL(new URL(await leave(third)).searchParams.get('service')!)
      const refused = await third.open(`${service.pathname}${service.search}${given}`)
      expect([403, 502], given).toContain(refused.status)
    }
  })
})

test('administrators link accounts of CAS to users', async () => {
  const admin = await registerAdmin(hearth.url)
  const [alice, bob] = await Promise.all([registerUser(hearth.url), registerUser(hearth.url)])
  const ulid = async ({ userId }: { userId: string }) =>
    (await admin.get(`/api/admin/v1/users/by-username/${userId.slice(1).split(':')[0]}`)).data.id
  const providers = await admin.get('/api/admin/v1/upstream-oauth-providers?page[first]=1000')
  const issuer = `${cas.url}`
  expect(providers.data.map(({ attributes }: { attributes: object }) => attributes)).toEqual([
    {
      ...{ issuer, human_name: 'Campus', brand_name: null, created_at: '1970-01-01T00:00:00.000Z', disabled_at: null },
      registration_token_required: false,
    },
  ])
  const [{ id: provider_id }] = providers.data
  expect((await admin.get(`/api/admin/v1/upstream-oauth-providers/${provider_id}`)).data.id).toBe(provider_id)
  expect((await admin.get('/api/admin/v1/upstream-oauth-providers?filter[enabled]=false')).meta.count).toBe(0)

  const path = '/api/admin/v1/upstream-oauth-links'
  const subject = uniqueName('subject')
  const link = { user_id: await ulid(alice), provider_id, subject, human_account_name: 'Alice at work' }
  const made = await admin.ask('POST', path, link)
  expect(made.status).toBe(201)
  expect(made.body.data.attributes).toEqual({ ...link, created_at: expect.any(String) })
  expect((await admin.ask('POST', path, link)).status).toBe(200)
  expect((await admin.ask('POST', path, { ...link, user_id: await ulid(bob) })).status).toBe(409)
  const external_ids = [{ auth_provider: 'campus', external_id: subject }]
  const putBob = { method: 'PUT', path: `/_synapse/admin/v2/users/${bob.userId}` }
  expect((await admin.ask(putBob.method, putBob.path, { external_ids })).status).toBe(409)
  const filters = `filter[user]=${link.user_id}&filter[provider]=${provider_id}&filter[subject]=${subject}`
  const listed = await admin.get(`${path}?${filters}&filter[human-account-name]=WORK`)
  expect([listed.meta.count, listed.data[0].id]).toEqual([1, made.body.data.id])
  expect(whoIs(await signInAt(newVisitor(hearth.url), subject))).toBe(alice.userId)

  expect((await admin.ask('DELETE', `${path}/${made.body.data.id}`)).status).toBe(204)
  expect((await admin.ask('DELETE', `${path}/${made.body.data.id}`)).status).toBe(404)
  expect((await admin.put(putBob.path, { external_ids })).external_ids).toEqual(external_ids)
  expect(whoIs(await signInAt(newVisitor(hearth.url), subject))).toBe(bob.userId)
})
