import fc from 'fast-check'
import { expect, test } from 'vitest'
import { thumbnailSize } from './thumbnail-size.ts'

test.each([
  ['scale', [1000, 500], [320, 240], [320, 160]],
  ['scale', [500, 1000], [320, 240], [120, 240]],
  ['scale', [100, 50], [320, 240], [100, 50]],
  ['scale', [100, 10000], [32, 32], [1, 32]],
  ['crop', [1000, 500], [96, 96], [96, 96]],
  ['crop', [200, 50], [96, 96], [50, 50]],
  ['crop', [80, 40], [96, 96], [80, 40]],
  ['crop', [400, 400], [64, 32], [64, 32]],
] as const)('%s %j into %j: %j', (method, [w, h], [width, height], expected) => {
  const size = thumbnailSize({ width: w, height: h }, { width, height, method })
  expect([size.width, size.height]).toEqual(expected)
})

test('never larger than the image or the box', () => {
  const side = fc.integer({ min: 1, max: 20_000 })
  fc.assert(
    fc.property(side, side, side, side, fc.constantFrom('crop', 'scale'), (w, h, width, height, method) => {
      const size = thumbnailSize({ width: w, height: h }, { width, height, method })
      expect(size.width).toBeLessThanOrEqual(Math.min(w, width))
      expect(size.height).toBeLessThanOrEqual(Math.min(h, height))
      expect(Math.min(size.width, size.height)).toBeGreaterThanOrEqual(1)
    }),
  )
})
