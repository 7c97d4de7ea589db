import { expect, test } from 'vitest'
import { acknowledgedIn, parseSyncToken, syncToken } from './sync-token.ts'

test('a token comes back', () => {
  const token = syncToken(7, { toDevice: 5 })
  expect([parseSyncToken(token), acknowledgedIn(token)]).toEqual([7, 5])
})

test('a token of Synapse names a position and acknowledges nothing', () => {
  const token = 's1_17_2_89_11_3_5_9_0_1_4_1_3_6'
  expect([parseSyncToken(token), acknowledgedIn(token)]).toEqual([1, undefined])
})

test.each(['', 's42', 's1_x', 's42_17', 'x42_17_2_89_11_3_5'])('%j is no token', (token) => {
  expect(() => parseSyncToken(token)).toThrow('is not a sync token')
})
