import { expect, test } from 'vitest'
import { configPlaces } from './sliding-plan.ts'

const config = (type: string, timelineLimit = 1) => ({
  timelineLimit,
  requiredState: [{ include: [{ type }], exclude: [], lazyMembers: false }],
})

test('equal configurations have one place, also those that were stored', () => {
  const places = configPlaces(JSON.stringify([config('a'), config('b')]))
  const fresh = config('c')
  expect([config('b'), fresh, fresh, config('c'), config('a')].map(places.placeOf)).toEqual([1, 2, 2, 2, 0])
  expect(places.configs).toEqual([config('a'), config('b'), config('c')])
})

test.each([
  ['a new connection', undefined, 413, 'M_TOO_LARGE'],
  ['a connection', '[]', 400, 'M_UNKNOWN_POS'],
])('%s keeps neither too many configurations nor too large ones', (_, stored, status, errcode) => {
  const many = configPlaces(stored)
  for (let place = 0; place < 200; place++) many.placeOf(config('a', place))
  expect(() => many.placeOf(config('b'))).toThrow(expect.objectContaining({ status, errcode }))
  const large = configPlaces(stored)
  for (let place = 0; place < 10; place++) large.placeOf(config('x'.repeat(100_000), place))
  expect(() => large.placeOf(config('x'.repeat(100_000)))).not.toThrow()
  expect(() => large.placeOf(config('y'.repeat(100_000)))).toThrow(expect.objectContaining({ status, errcode }))
})
