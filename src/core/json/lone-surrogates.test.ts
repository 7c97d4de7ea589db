import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasLoneSurrogates } from './lone-surrogates.ts'

const has = (text: string) => hasLoneSurrogates(Buffer.from(text))

/** JSON of a client that escapes all non-ASCII characters. */
const escaped = (json: string) =>
  json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

test('it is true of just those texts that hold half of a pair', () => {
  const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
  const oddText = fc.string({ unit: fc.constantFrom('\\', 'u', 'd', '8', '0', '\ud83d', '\ude00', '\udc00', '"', 'é') })
  fc.assert(
    fc.property(fc.oneof(anyText, oddText, fc.string({ unit: 'binary' })), (text) => {
      const json = JSON.stringify({ [text]: [text] })
      expect(has(json)).toBe(!text.isWellFormed())
      expect(has(escaped(json))).toBe(!text.isWellFormed())
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['"\\uD83D\\uDE00"', false],
  ['"\\uD83D"', true],
  ['"\\uDE00\\uD83D"', true],
  ['"\\uD83D\\uD83D\\uDE00"', true],
  ['"\\uD83Dx\\uDE00"', true],
  ['"\\\\ud83d"', false],
  ['"\\\\\\ud83d"', true],
  ['"\\u00"', false],
  ['"\\', false],
])('%s: %s', (json, expected) => expect(has(json)).toBe(expected))
