import { expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'
import { decide, registerDeviceClient, startDevice } from '../harness/device-grant.ts'
import { authorization, exchange, openConsent, registerClient, replyOf } from '../harness/oauth-client.ts'
import { newVisitor, signIn, type Visitor } from '../harness/page-visitor.ts'

/** The end of all sessions of a user also ends the codes and links that were requested in one of them. */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'

/** Consents to a client and to a device, which do not ask for their tokens yet. */
async function prepare(visitor: Visitor, user: TestUser) {
  const attempt = authorization(await registerClient(url))
  const reply = replyOf(await visitor.submit(await openConsent(visitor, user, attempt), {}, { do: 'allow' }))
  const device = await startDevice(url, await registerDeviceClient(url))
  expect((await decide(visitor, device, 'approve')).status).toBe(200)
  return { code: () => exchange(url, attempt, reply.get('code')!), grant: () => device.poll() }
}

const ENDS: [string, (user: TestUser) => Promise<unknown>][] = [
  ['POST /logout/all', (user) => user.ask('POST', `${v3}/logout/all`, {})],
  [
    'the page of devices',
    async (user) => {
      const visitor = newVisitor(url)
      await signIn(visitor, user)
      return visitor.submit(await visitor.open('/account/devices'), {}, { do: 'all' })
    },
  ],
  [
    'the page of browsers',
    async (user) => {
      const visitor = newVisitor(url)
      await signIn(visitor, user)
      return visitor.submit(await visitor.open('/account/browsers'), {}, { do: 'others' })
    },
  ],
  [
    'the end of one browser',
    async (user) => {
      const visitor = newVisitor(url)
      await signIn(visitor, user)
      return visitor.submit(await visitor.open('/account/browsers'), {}, { do: 'one' })
    },
  ],
  [
    'a new password',
    async (user) => {
      const visitor = newVisitor(url)
      await signIn(visitor, user)
      const password = 'another good password'
      return visitor.submit(await visitor.open('/account/password'), { password, again: password, 'sign-out': 'on' })
    },
  ],
]

test.each(ENDS)('%s', async (_, end) => {
  const user = await registerUser(url)
  const thief = newVisitor(url)
  await signIn(thief, user)
  const prepared = await prepare(thief, user)
  expect(await end(user)).toMatchObject({ status: 200 })
  expect(await prepared.code()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  expect(await prepared.grant()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})
