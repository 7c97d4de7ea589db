import { afterEach, expect, test } from 'vitest'
import type { EmailAddress } from '../../core/text/email-address.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { requestEmailProof } from './email-proof.ts'
import type { ProofPurpose } from './mail/email-proof-texts.ts'

let app: TestApp
afterEach(() => app.close())

async function isAccepted(address: string, purpose: ProofPurpose = 'register'): Promise<boolean> {
  const request = { clientSecret: 'secret', sendAttempt: 1, nextLink: undefined }
  try {
    await requestEmailProof(app, { ...request, purpose, address: address as EmailAddress })
    return true
  } catch (error) {
    expect(error).toMatchObject({ status: 403, errcode: 'M_THREEPID_DENIED' })
    return false
  }
}

const mailer = { send: async () => {}, close: () => {} }

test.each([
  [{}, ['a@one.org', 'a@mail.one.org', 'a@two.org']],
  [{ allowed_domains: ['ONE.org', '*.one.org'] }, ['a@one.org', 'a@mail.one.org']],
  [{ blocked_domains: ['*one.org'] }, ['a@two.org']],
  [{ allowed_domains: ['*.org'], blocked_domains: ['two.org'] }, ['a@one.org', 'a@mail.one.org']],
])('with %j these addresses may be used: %j', async (email, accepted) => {
  app = await createTestApp({ mailer, config: { email } })
  const all = ['a@one.org', 'a@mail.one.org', 'a@two.org']
  for (const purpose of ['register', 'add'] as const) {
    const found = await Promise.all(all.map(async (address) => ((await isAccepted(address, purpose)) ? [address] : [])))
    expect(found.flat()).toEqual(accepted)
  }
})

test('an address that an account has already still resets the password', async () => {
  app = await createTestApp({ mailer, config: { email: { blocked_domains: ['*'] } } })
  expect(await isAccepted('a@one.org', 'password')).toBe(true)
})
