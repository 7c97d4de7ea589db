import { expect, inject, test } from 'vitest'
import { asUser, registerAdmin, registerUser, type TestUser } from '../harness/client.ts'
import { newVisitor, signIn, type VisitedPage } from '../harness/page-visitor.ts'
import { v3 } from '../harness/rooms.ts'

const { url } = inject('homeserver')
const PATH = '/account/tokens'

async function entered(user: TestUser) {
  const visitor = newVisitor(url)
  return { visitor, page: await signIn(visitor, user, PATH) }
}

/** The bot of a page that shows a new token. */
function botOf(user: TestUser, page: VisitedPage) {
  const [access_token = '', device_id = ''] = [...page.text.matchAll(/<code>([^<]+)<\/code>/g)].map(([, code]) => code!)
  return asUser(url, { user_id: user.userId, device_id, access_token })
}

test('a user creates a token, which is shown once, and revokes it', async () => {
  const alice = await registerUser(url)
  const { visitor, page } = await entered(alice)
  expect(page.title).toBe('Personal tokens')
  expect(page.text).toContain('You have no personal tokens.')
  const shown = await visitor.submit(page, { name: '<b>Weather</b> bot', days: '90' }, { do: 'create' })
  expect([shown.status, shown.title]).toEqual([200, 'Your new token'])
  expect(shown.text).not.toContain('<b>Weather')
  expect(shown.headers.get('cache-control')).toBe('no-store')
  const bot = botOf(alice, shown)
  expect(await bot.get(`${v3}/account/whoami`)).toEqual({ user_id: alice.userId, is_guest: false })
  const list = await visitor.open(PATH)
  expect(list.text).toContain('&#60;b&#62;Weather&#60;/b&#62; bot')
  expect(list.text).toMatch(/Expires .* UTC/)
  expect(list.text).not.toContain(bot.accessToken)
  const after = await visitor.submit(list, {}, { do: 'revoke' })
  expect([after.status, after.url.pathname]).toEqual([200, PATH])
  expect(after.text).toContain('The token is revoked.')
  expect((await bot.ask('GET', `${v3}/account/whoami`)).status).toBe(401)
})

test('a token for a bot that encrypts has a device', async () => {
  const alice = await registerUser(url)
  const { visitor, page } = await entered(alice)
  const shown = await visitor.submit(page, { name: 'Bot', days: '0', device: 'on' }, { do: 'create' })
  const bot = botOf(alice, shown)
  expect(bot.deviceId).toMatch(/^[A-Z0-9]{10}$/)
  expect(await bot.get(`${v3}/account/whoami`)).toMatchObject({ device_id: bot.deviceId })
})

test('a wrong name is refused and kept, and nobody gets more rights than they have', async () => {
  const alice = await registerUser(url)
  const { visitor, page } = await entered(alice)
  const refused = await visitor.submit(page, { name: ' ', days: '30' }, { do: 'create' })
  expect([refused.status, refused.alert]).toEqual([400, 'Enter a name of at most 255 characters.'])
  const cheeky = await visitor.submit(page, { name: 'x'.repeat(256) }, { do: 'create' })
  expect(cheeky.status).toBe(400)
  expect(page.text).not.toContain('name="admin"')
  page.forms[0]!.fields.admin = 'on'
  expect((await visitor.submit(page, { name: 'x' }, { do: 'create' })).status).toBe(403)
})

test('an administrator chooses whether a token has those rights', async () => {
  const admin = await registerAdmin(url)
  const notice = { user_id: admin.userId, content: { msgtype: 'm.text', body: 'hello' } }
  const notify = async (fields: Record<string, string>) => {
    const { visitor, page } = await entered(admin)
    const bot = botOf(admin, await visitor.submit(page, { name: 'tool', days: '30', ...fields }, { do: 'create' }))
    return (await bot.ask('POST', '/_synapse/admin/v1/send_server_notice', notice)).status
  }
  expect(await notify({})).toBe(403)
  expect(await notify({ admin: 'on' })).toBe(200)
})

test('nobody can revoke a token of another', async () => {
  const [alice, mallory] = [await registerUser(url), await registerUser(url)]
  const { visitor, page } = await entered(alice)
  const bot = botOf(alice, await visitor.submit(page, { name: 'Bot', days: '30' }, { do: 'create' }))
  const [{ token_id }] = (await alice.get('/_matrix/client/unstable/hearth/tokens')).tokens
  const other = await entered(mallory)
  await other.visitor.submit(other.page, { name: 'Own', days: '30' }, { do: 'create' })
  const list = await other.visitor.open(PATH)
  const answer = await other.visitor.submit(list, { token: token_id }, { do: 'revoke' })
  expect([answer.status, answer.alert]).toEqual([404, expect.any(String)])
  expect(await bot.get(`${v3}/account/whoami`)).toBeDefined()
})
