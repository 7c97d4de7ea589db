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

test.each([
  ['s42_17_2_89_11_3_5_9_0_1_4_1_3_6', 42],
  ['m30~1.35~2.38_17_2_89_11_3_5_9_0_1_4_1_3_6', 30],
  ['t12-345', 345],
  ['t12-345_17_2_89_11_3_5_9_0_1_4_1_3_6', 345],
  // Fetched history.
  ['t12--345', 0],
])('%s, a token of Synapse, names the position of its event', (token, position) => {
  expect(parseRoomPoint(token)).toEqual({ kind: 'position', position })
})
