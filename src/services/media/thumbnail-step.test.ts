import fc from 'fast-check'
import { expect, test } from 'vitest'
import { thumbnailStep } from './thumbnail-step.ts'

const CONFIGURED = [
  { width: 320, height: 240, method: 'scale' },
  { width: 32, height: 32, method: 'crop' },
  { width: 800, height: 600, method: 'scale' },
  { width: 96, height: 96, method: 'crop' },
  { width: 640, height: 480, method: 'scale' },
] as const

test.each([
  ['crop', 32, 32, 32, 32],
  ['crop', 33, 33, 96, 96],
  ['crop', 97, 97, 192, 192],
  ['crop', 64, 32, 96, 48],
  ['crop', 16, 9, 32, 18],
  ['crop', 400, 600, 512, 768],
  ['scale', 1, 1, 320, 240],
  ['scale', 320, 241, 640, 480],
  ['scale', 800, 600, 800, 600],
  ['scale', 801, 600, 1600, 1200],
] as const)('%s %d×%d is served by %d×%d', (method, width, height, ...expected) => {
  const step = thumbnailStep({ width, height, method, animated: false }, CONFIGURED)
  expect([step.width, step.height]).toEqual(expected)
})

test('is as large as asked, within bounds, and one of few', () => {
  const side = fc.integer({ min: 1, max: 1_000_000 })
  const steps = new Set<string>()
  fc.assert(
    fc.property(side, side, fc.constantFrom('crop', 'scale'), (width, height, method) => {
      const step = thumbnailStep({ width, height, method, animated: false }, CONFIGURED)
      steps.add(`${method} ${step.width} ${step.height}`)
      expect(step.width).toBeGreaterThanOrEqual(Math.min(width, 8192))
      expect(step.height).toBeGreaterThanOrEqual(Math.min(height, 8192))
      expect(Math.max(step.width, step.height)).toBeLessThan(20_000)
    }),
    { numRuns: 3000 },
  )
  expect(steps.size).toBeLessThan(1000)
})

test('sizes of the other method serve where a method has none', () => {
  const step = thumbnailStep({ width: 10, height: 10, method: 'crop', animated: true }, [
    { width: 50, height: 40, method: 'scale' },
  ])
  expect(step).toEqual({ width: 50, height: 50, method: 'crop', animated: true })
  expect(thumbnailStep({ width: 10, height: 10, method: 'scale', animated: false }, [])).toMatchObject({
    width: 32,
    height: 32,
  })
})
