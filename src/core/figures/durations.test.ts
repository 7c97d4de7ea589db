import { expect, test } from 'vitest'
import { bucketOf, DURATION_BOUNDS, quantileOf } from './durations.ts'

function countsOf(durations: readonly number[]): number[] {
  const counts: number[] = []
  for (const seconds of durations) counts[bucketOf(seconds)] = (counts[bucketOf(seconds)] ?? 0) + 1
  return Array.from(counts, (count) => count ?? 0)
}

test.each([
  [0, 0],
  [0.001, 0],
  [0.0011, 1],
  [30, 13],
  [31, 14],
])('%f s is in bucket %i', (seconds, bucket) => {
  expect(bucketOf(seconds)).toBe(bucket)
})

test('a quantile is interpolated within its bucket', () => {
  const counts = countsOf([...Array(90).fill(0.004), ...Array(10).fill(0.2)])
  expect(quantileOf(counts, 0.5)).toBeCloseTo(0.0025 + (0.0025 * 50) / 90)
  expect(quantileOf(counts, 0.9)).toBeCloseTo(0.005)
  expect(quantileOf(counts, 0.95)).toBeCloseTo(0.1 + 0.15 * 0.5)
})

test('a quantile is never further from the true one than its bucket is wide', () => {
  const durations = Array.from({ length: 1000 }, (_, n) => ((n * 7919) % 1000) / 500)
  const sorted = durations.toSorted((a, b) => a - b)
  for (const quantile of [0.01, 0.25, 0.5, 0.95, 0.99]) {
    const truth = sorted[Math.ceil(quantile * 1000) - 1]!
    const bucket = bucketOf(truth)
    const width = DURATION_BOUNDS[bucket]! - (DURATION_BOUNDS[bucket - 1] ?? 0)
    expect(Math.abs(quantileOf(countsOf(durations), quantile)! - truth)).toBeLessThanOrEqual(width)
  }
})

test('nothing has no quantile, and what is longer than all bounds has the last', () => {
  expect(quantileOf([], 0.5)).toBeNull()
  expect(quantileOf([0, 0], 0.5)).toBeNull()
  expect(quantileOf(countsOf([100, 200]), 0.5)).toBe(30)
})
