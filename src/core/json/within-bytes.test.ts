import { expect, test } from 'vitest'
import { bytesOf, firstWithin, lastWithin } from './within-bytes.ts'

const events = [1, 2, 3, 4].map((size) => ({ size }))
const sizes = (some: readonly { size: number }[]) => some.map(({ size }) => size)

test.each([
  [0, [1], [4]],
  [3, [1, 2], [4]],
  [6, [1, 2, 3], [4]],
  [7, [1, 2, 3], [3, 4]],
  [10, [1, 2, 3, 4], [1, 2, 3, 4]],
])('within %i bytes', (bytes, first, last) => {
  expect(sizes(firstWithin(events, bytes))).toEqual(first)
  expect(sizes(lastWithin(events, bytes))).toEqual(last)
})

test('of nothing there is nothing', () => {
  expect([firstWithin([], 5), lastWithin([], 5), bytesOf([])]).toEqual([[], [], 0])
  expect(bytesOf(events)).toBe(10)
})
