import { expect, test } from 'vitest'
import { paginationToken, parseRoomPoint } from './pagination-token.ts'

test.each([0, 1, 42, -7, 999_999_999_999])('a token of order %d comes back', (order) => {
  expect(parseRoomPoint(paginationToken(order))).toEqual({ kind: 'order', order })
})

test('a sync token names a position of the stream', () => {
  expect(parseRoomPoint('s1_120')).toEqual({ kind: 'position', position: 120 })
})

test.each(['', 't1_', 't1_x', 't2_5', 't1_1.5', 't1_1e5', 's1_-4', 'xt1_5', 't1_9999999999999999'])(
  '%j is no token',
  (token) => {
    expect(parseRoomPoint(token)).toBeUndefined()
  },
)
