import { expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { fixedClock } from '../../infra/clock.ts'
import { requestRate } from './request-rate.ts'
import type { Session } from './route.ts'

const HOUR = 3_600_000
const session = (more: Partial<Session>) => ({ createdTs: 0, appservice: null, ...more }) as Session

test('new accounts have the stricter limit of each category, until they are old enough', () => {
  const config = defaultConfig({ abuse: { new_accounts: { age: '24h', messages: 36, invites: 7200 } } })
  const rate = (category: string, more: Partial<Session> = {}, now = HOUR) =>
    requestRate({ config, clock: fixedClock(now) }, category, session(more))
  expect(rate('message')).toEqual({ per_second: 0.01, burst: 36 })
  expect(rate('invite')).toEqual({ per_second: 1, burst: 50 })
  expect(rate('media')).toBeUndefined()
  expect(rate('message', {}, 24 * HOUR)).toBeUndefined()
  expect(rate('message', { messageRate: 'unlimited' })).toBe('unlimited')
  expect(requestRate({ config: defaultConfig({}), clock: fixedClock(0) }, 'message', session({}))).toBeUndefined()
})
