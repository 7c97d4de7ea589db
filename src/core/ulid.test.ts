import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseUlid, partsOfUlid, ulidOf } from './ulid.ts'

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex').slice(0, 20)

test('a ULID holds the time and the hash of the key', () => {
  for (const ts of [0, 1, 1_469_918_176_385, 2 ** 48 - 1])
    for (const key of ['@bob:hearth.test', '', 'ü'])
      expect(partsOfUlid(ulidOf(ts, key))).toEqual({ ts, hash: hashOf(key) })
  expect(partsOfUlid(parseUlid('01arz3ndektsv4rrffq69g5fav')!)).toEqual({
    ts: 1_469_922_850_259,
    hash: 'd6764c61efb99302bd5b',
  })
})

test('ULIDs sort by time', () => {
  const ids = [0, 1, 31, 32, 1_000_000, 1_469_918_176_385].map((ts) => ulidOf(ts, 'key'))
  expect([...ids].sort()).toEqual(ids)
})

test('other texts are no ULIDs', () => {
  for (const text of [
    '',
    '8'.padEnd(26, '0'),
    'U'.padStart(26, '0'),
    '0'.repeat(25),
    '0'.repeat(27),
    ` ${'0'.repeat(26)}`,
  ])
    expect(parseUlid(text)).toBeUndefined()
})
