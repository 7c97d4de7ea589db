import { expect, test } from 'vitest'
import { backOff, jitteredBackOff } from './back-off.ts'

const bounds = { first: 1000, longest: 10_000 }
const jittered = (failures: number, byte: number) =>
  jitteredBackOff(failures, bounds, { bytes: () => Buffer.from([byte]) })

test('delays double up to the cap', () => {
  expect([0, 1, 2, 3, 4, 1e9].map((failures) => backOff(failures, bounds))).toEqual([
    1000, 2000, 4000, 8000, 10_000, 10_000,
  ])
})

test('a cap below the first delay holds', () => {
  expect(backOff(0, { first: 1000, longest: 300 })).toBe(300)
})

test('jitter takes up to half of the delay', () => {
  expect([0, 128, 255].map((byte) => jittered(0, byte))).toEqual([500, 750, 998])
  expect([0, 1, 2, 3, 4, 1e9].map((failures) => jittered(failures, 0))).toEqual([500, 1000, 2000, 4000, 5000, 5000])
})
