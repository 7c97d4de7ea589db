import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ExcessiveJsonError, requireModestJson } from './modest-json.ts'

const check = (text: string) => requireModestJson(Buffer.from(text))

test('usual JSON passes, and what is none is for others to refuse', () => {
  fc.assert(fc.property(fc.json(), (text) => check(text)))
  for (const text of ['', '<html>', '{"a":', '"a', '{"a\\', ']]]]']) check(text)
})

test.each([
  ['too many values', `[${'{},'.repeat(600_000)}{}]`],
  ['too many numbers', `[${'1,'.repeat(600_000)}1]`],
  ['too many levels', '['.repeat(1000) + ']'.repeat(1000)],
  ['too many levels of objects', '{"a":'.repeat(1000) + 1 + '}'.repeat(1000)],
])('%s are too much', (_, text) => expect(() => check(text)).toThrow(ExcessiveJsonError))

test('the content of strings does not count', () => {
  check(JSON.stringify({ a: '[{,'.repeat(1_000_000), b: '\\"[{'.repeat(2000), c: '\\' }))
})
