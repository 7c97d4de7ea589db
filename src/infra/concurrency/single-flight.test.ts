import { expect, test } from 'vitest'
import { createSingleFlight } from './single-flight.ts'

test('work under way is shared by key, finished work is not', async () => {
  const flight = createSingleFlight<number>()
  let runs = 0
  const work = async () => ++runs
  expect(await Promise.all([flight('a', work), flight('a', work), flight('b', work)])).toEqual([1, 1, 2])
  expect(await flight('a', work)).toBe(3)
})

test('a failure reaches all who wait, and the next one tries again', async () => {
  const flight = createSingleFlight<string>()
  const fail = async () => {
    throw new Error('no')
  }
  const both = await Promise.allSettled([flight('a', fail), flight('a', async () => 'unused')])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await flight('a', async () => 'yes')).toBe('yes')
})
