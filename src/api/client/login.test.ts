import { expect, test } from 'vitest'
import { postLogin } from './login.ts'

const tried = (body: Record<string, unknown>) =>
  postLogin.accountTried!(
    { body: { type: 'm.login.password', ...body } } as never,
    { serverName: 'hearth.test' } as never,
  )

test('all ways to name an account count as attempts at the same one', () => {
  const names = ['alice', 'Alice', '@alice:hearth.test', '@ALICE:hearth.test']
  for (const user of names) expect(tried({ identifier: { type: 'm.id.user', user } })).toBe('@alice:hearth.test')
  expect(tried({ user: 'alice' })).toBe('@alice:hearth.test')
  expect(tried({ user: '@alice:elsewhere.test' })).toBeUndefined()
  expect(tried({})).toBeUndefined()
})
