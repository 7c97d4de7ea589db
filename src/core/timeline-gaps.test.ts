import { expect, test } from 'vitest'
import { followsGap, orderAfterGap } from './timeline-gaps.ts'

test('a place after a gap shows it, and leaves room before it', () => {
  for (const next of [1, 17, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1]) {
    const order = orderAfterGap(next)
    expect(order).toBeGreaterThan(next)
    expect(followsGap(order)).toBe(true)
    expect(followsGap(order + 1)).toBe(false)
  }
  for (const order of [null, 1, 0, -(2 ** 20)]) expect(followsGap(order)).toBe(false)
})
