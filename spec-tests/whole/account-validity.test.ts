import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, asUser, registerAdmin, registerUser, uniqueName } from '../harness/client.ts'
import { SHARED_SECRET, startHearth, type TestHearth } from '../harness/hearth.ts'
import { type MailServer, startMailServer } from '../harness/mail-server.ts'
import { newVisitor } from '../harness/page-visitor.ts'

/** Accounts that expire two seconds after each renewal. */
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'

let mails: MailServer
let hearth: TestHearth
beforeAll(async () => {
  mails = await startMailServer()
  hearth = await startHearth({
    config: {
      email: { smtp_url: mails.url, from: 'Hearth <hearth@hearth.test>', require_tls: false },
      account_validity: { period: '2s', mail_before: '0s' },
    },
  })
})
afterAll(async () => {
  await hearth?.dispose()
  await mails?.stop()
})

test('an expired account can log out and renew itself by mail, and an administrator can renew it', async () => {
  const [name, address, visitor] = [uniqueName(), `${uniqueName()}@example.org`, newVisitor(hearth.url)]
  const waiting = await visitor.submit(await visitor.open('/register'), { user: name, password, email: address })
  const link = await pollUntil('a mail arrives', () => /http:\S+/.exec(mails.to(address)[0]?.text ?? '')?.[0])
  await fetch(link, { method: 'POST' })
  expect((await visitor.submit(waiting, {}, { do: 'finish' })).url.pathname).toBe('/account')

  const expired = { status: 403, body: { errcode: 'ORG_MATRIX_EXPIRED_ACCOUNT' } }
  const logIn = () =>
    ask(hearth.url, {
      method: 'POST',
      path: `${v3}/login`,
      body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password },
    })
  await pollUntil('the account expires', async () => (await logIn()).status === 403)
  expect(await logIn()).toMatchObject(expired)
  // The session of the browser has expired too, and so has the sign-in.
  const page = await visitor.open('/account')
  expect([page.status, page.alert]).toEqual([403, expect.stringContaining('has expired')])
  expect((await visitor.open('/account/export/data.zip')).status).toBe(403)
  const sso = await visitor.open(
    `${v3}/login/sso/redirect?redirectUrl=${encodeURIComponent('https://client.example/')}`,
  )
  expect([sso.status, sso.alert]).toEqual([403, expect.stringContaining('has expired')])
  const again = newVisitor(hearth.url)
  const refused = await again.submit(await again.open('/login'), { user: name, password })
  expect([refused.status, refused.alert]).toEqual([403, expect.stringContaining('has expired')])

  const mail = await pollUntil('the link arrives', () =>
    mails.to(address).find(({ subject }) => subject?.endsWith('has expired')),
  )
  const path = /\/account\/renew\/\w+/.exec(mail.text!)![0]
  const question = await visitor.open(path)
  expect(question.text).toContain(`@${name}:hearth.test`)
  expect((await logIn()).status).toBe(403)
  expect((await visitor.submit(question)).title).toBe('Your account is renewed')
  const login = await logIn()
  expect(login.status).toBe(200)
  expect((await visitor.open(path)).status).toBe(404)

  const user = asUser(hearth.url, login.body)
  await pollUntil('the account expires', async () => (await user.ask('GET', `${v3}/account/whoami`)).status === 403)
  expect(await user.ask('GET', `${v3}/sync`)).toMatchObject(expired)
  expect((await user.ask('POST', '/_matrix/client/unstable/account_validity/send_mail', {})).status).toBe(200)
  const admin = await registerAdmin(hearth.url, SHARED_SECRET)
  const validity = '/_synapse/admin/v1/account_validity/validity'
  const expiration_ts = Date.now() + 86_400_000
  const body = { user_id: user.userId, expiration_ts }
  expect((await (await registerUser(hearth.url)).ask('POST', validity, body)).status).toBe(403)
  expect((await admin.ask('POST', validity, body)).body).toEqual({ expiration_ts })
  expect((await user.ask('GET', `${v3}/account/whoami`)).status).toBe(200)
  const { room_id: roomId } = await user.post(`${v3}/createRoom`)
  const delayed = `${v3}/rooms/${roomId}/send/m.room.message/1?org.matrix.msc4140.delay=3600000`
  const { delay_id: delayId } = await user.put(delayed, { msgtype: 'm.text', body: 'later' })
  await admin.ask('POST', validity, { user_id: user.userId, expiration_ts: 1 })
  const sendNow = `/_matrix/client/unstable/org.matrix.msc4140/delayed_events/${delayId}/send`
  expect(await ask(hearth.url, { method: 'POST', path: sendNow, body: {} })).toMatchObject(expired)
  expect((await user.ask('POST', `${v3}/logout`, {})).status).toBe(200)
})
