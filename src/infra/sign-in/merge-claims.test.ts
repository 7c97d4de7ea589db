import { expect, test } from 'vitest'
import { mergeClaims } from './merge-claims.ts'

const idToken = { sub: 'a', name: 'A', email: 'a@one.org', email_verified: true }

test.each([
  [{}, true],
  [{ email: 'a@one.org' }, true],
  [{ email: 'b@two.org' }, undefined],
  [{ email: 'b@two.org', email_verified: true }, true],
  [{ email: 'a@one.org', email_verified: false }, false],
])('with %j the address is verified: %j', (userInfo, verified) => {
  const claims = mergeClaims(idToken, userInfo)
  expect(claims).toMatchObject({ sub: 'a', name: 'A', ...userInfo })
  expect(claims.email_verified).toBe(verified)
})
