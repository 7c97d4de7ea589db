import { beforeEach, expect, test } from 'vitest'
import type { StreamRow } from '../storage/schema/stream.ts'
import { createStreamCache, type StreamCache } from './stream-cache.ts'

type Letters = { letters: string }

let position: number
let publish: (rows: readonly StreamRow[]) => void
let cache: StreamCache<Letters>
beforeEach(() => {
  position = 0
  cache = createStreamCache<Letters>(
    {
      subscribe(listener) {
        publish = listener
        return () => {}
      },
    },
    {
      max: 10,
      sizeOf: ({ letters }) => letters.length,
      changedBy: ({ kind, user_id }) => (kind === 'account_data' ? (user_id ?? undefined) : undefined),
      dependsOn: (key) => key.split('+'),
    },
  )
})

/** A row of the stream about each of some users. */
function change(users: readonly string[], kind = 'account_data') {
  publish(users.map((user_id) => ({ stream_position: ++position, kind, user_id }) as unknown as StreamRow))
}

const value = (letters: string) => ({ letters })

test('a value is kept until something it depends on changes', () => {
  cache.set('alice', value('a'), position)
  cache.set('alice+bob', value('ab'), position)
  change(['carol'])
  change(['bob'], 'receipt')
  expect(cache.get('alice+bob')).toEqual(value('ab'))
  change(['bob'])
  expect(cache.get('alice+bob')).toBeUndefined()
  expect(cache.get('alice')).toEqual(value('a'))
  expect(cache.get('unknown')).toBeUndefined()
})

test('a value that was read before a change is out of date when it is set after it', () => {
  const readAt = position
  change(['alice'])
  cache.set('alice', value('old'), readAt)
  expect(cache.get('alice')).toBeUndefined()
  cache.set('alice', value('new'), position)
  expect(cache.get('alice')).toEqual(value('new'))
})

test('beyond the changes that are noted one by one, values read before count as changed', () => {
  cache.set('alice', value('a'), position)
  change(Array.from({ length: 20_001 }, (_, number) => `user${number}`))
  expect(cache.get('alice')).toBeUndefined()
  cache.set('alice', value('a'), position)
  expect(cache.get('alice')).toEqual(value('a'))
})

test('only the value that is kept is replaced or dropped', () => {
  const [first, second] = [value('1'), value('2')]
  cache.set('alice', first, position)
  cache.replace('alice', second, value('3'))
  cache.drop('alice', second)
  expect(cache.get('alice')).toBe(first)
  cache.replace('alice', first, second)
  expect(cache.get('alice')).toBe(second)
  cache.drop('alice', second)
  expect(cache.get('alice')).toBeUndefined()
})

test('a replaced value is as old as the one it follows from', () => {
  const first = value('1')
  cache.set('alice', first, position)
  change(['alice'])
  cache.replace('alice', first, value('2'))
  expect(cache.get('alice')).toBeUndefined()
})

test('all values together are bounded', () => {
  for (const key of ['a', 'b', 'c']) cache.set(key, value('four'), position)
  expect(['a', 'b', 'c'].map((key) => cache.get(key) !== undefined)).toEqual([false, true, true])
})
