import { afterEach, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { requireChoosable } from './reserved-names.ts'

let app: TestApp
afterEach(() => app.close())

const isFree = (name: string) => {
  try {
    requireChoosable(app, `@${name}:hearth.test` as UserId)
    return true
  } catch (error) {
    expect(error).toMatchObject({ status: 400, errcode: 'M_EXCLUSIVE' })
    return false
  }
}

test('names that the operator blocks are reserved, whole or by pattern', async () => {
  app = await createTestApp({ config: { registration: { blocked_names: ['Admin', '*support*', 'bot?'] } } })
  const names = ['admin', 'admins', 'alice', 'support', 'our.support.team', 'sup-port', 'bot', 'bot1', 'bot12']
  expect(names.filter(isFree)).toEqual(['admins', 'alice', 'sup-port', 'bot', 'bot12'])
})

test('patterns that would make an expression backtrack take no time', async () => {
  app = await createTestApp({ config: { registration: { blocked_names: [`${'*a'.repeat(100)}*b`] } } })
  const begun = performance.now()
  expect(isFree('a'.repeat(200))).toBe(true)
  expect(performance.now() - begun).toBeLessThan(100)
})
