import { expect, test } from 'vitest'
import { restAfter } from './rest-after.ts'

const bounds = { first: 1000, longest: 10_000 }
const rest = (failures: number, byte: number) => restAfter(failures, bounds, { bytes: () => Buffer.from([byte]) })

test('rests double up to the longest', () => {
  expect([0, 1, 2, 3, 4, 1e9].map((failures) => rest(failures, 0))).toEqual([500, 1000, 2000, 4000, 5000, 5000])
})

test('chance adds up to as much again', () => {
  expect([rest(0, 0), rest(0, 128), rest(0, 255)]).toEqual([500, 750, 998])
})
