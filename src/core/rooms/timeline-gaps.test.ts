import { expect, test } from 'vitest'
import { followsGap, gapPlaces, orderAfterGap } from './timeline-gaps.ts'

test('a place after a gap shows it, and leaves room before it', () => {
  for (const next of [1, 17, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1]) {
    const order = orderAfterGap(next)
    expect(order).toBeGreaterThan(next)
    expect(followsGap(order)).toBe(true)
    expect(followsGap(order + 1)).toBe(false)
  }
  for (const order of [null, 1, 0, -(2 ** 20)]) expect(followsGap(order)).toBe(false)
})

test('the places that events after gaps may have are those between two others', () => {
  const [first, second] = [orderAfterGap(1), orderAfterGap(2 ** 20)]
  expect(gapPlaces(0, 100)).toEqual([])
  expect(gapPlaces(-(2 ** 52), first)).toEqual([])
  expect(gapPlaces(-(2 ** 52), first + 1)).toEqual([first])
  expect(gapPlaces(first - 1, second + 5)).toEqual([first, second])
  expect(gapPlaces(first, second)).toEqual([])
  expect(gapPlaces(0, 2 ** 40)).toHaveLength(1000)
  expect(gapPlaces(0, 2 ** 40 + 1).at(-1)).toBe(2 ** 40)
})
