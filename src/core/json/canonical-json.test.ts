import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson as referenceJson } from '../../../testing/matrix/canonical-json.ts'
import { BadJsonError, MatrixError } from '../errors.ts'
import { assertCanonical, canonicalJson } from './canonical-json.ts'

/** https://spec.matrix.org/v1.19/appendices/#examples */
const SPECIFICATION_EXAMPLES: [string, string][] = [
  ['{}', '{}'],
  ['{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'],
  ['{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'],
  [
    `{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe", "three_pids": [
      {"medium": "email", "address": "john.doe@example.org"}, {"medium": "msisdn", "address": "123456789"}]}}}`,
    '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
  ],
  ['{"a": "日本語"}', '{"a":"日本語"}'],
  ['{"本": 2, "日": 1}', '{"日":1,"本":2}'],
  ['{"a": "\\u65E5"}', '{"a":"日"}'],
  ['{"a": null}', '{"a":null}'],
  ['{"a": -0, "b": 1e10}', '{"a":0,"b":10000000000}'],
]

function nested(depth: number): unknown {
  return JSON.parse('['.repeat(depth) + ']'.repeat(depth))
}

describe('canonicalJson', () => {
  it.each(SPECIFICATION_EXAMPLES)('writes %s', (json, canonical) => {
    expect(canonicalJson(JSON.parse(json))).toBe(canonical)
  })

  it.each([
    ['integer-like keys as strings', '{"10":1,"9":2,"a":3,"1":4}', '{"1":4,"10":1,"9":2,"a":3}'],
    ['a key called __proto__', '{"b":1,"__proto__":{"x":1}}', '{"__proto__":{"x":1},"b":1}'],
    ['a key called toJSON', '{"toJSON":1}', '{"toJSON":1}'],
    [
      'code points in order above U+FFFF',
      '{"😀":1,"\uff61":2,"😁":3,"\ue000":4,"a":5}',
      '{"a":5,"\ue000":4,"\uff61":2,"😀":1,"😁":3}',
    ],
    ['a prefix before the longer key', '{"ab":1,"a":2,"":3}', '{"":3,"a":2,"ab":1}'],
    [
      'the shortest escapes',
      '"\\u0000\\u0008\\u0009\\u000a\\u000b\\u000c\\u000d\\u001f\\"\\\\\\/\\u007f\\u2028"',
      '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\u007f\u2028"',
    ],
    ['the largest integers', '[9007199254740991,-9007199254740991]', '[9007199254740991,-9007199254740991]'],
  ])('keeps %s', (_what, json, canonical) => {
    expect(canonicalJson(JSON.parse(json))).toBe(canonical)
  })

  it.each(['1.5', '9007199254740992', '-9007199254740992', '1e300', '{"a":[0.1]}'])(
    'refuses the number %s, unless it is lenient',
    (json) => {
      expect(() => canonicalJson(JSON.parse(json))).toThrow(BadJsonError)
      expect(() => assertCanonical(JSON.parse(json))).toThrow(BadJsonError)
      expect(canonicalJson(JSON.parse(json), { strict: false })).toBe(JSON.stringify(JSON.parse(json)))
      expect(() => assertCanonical(JSON.parse(json), { strict: false })).not.toThrow()
    },
  )

  it.each(['1e999', '"\\ud800"', '{"\\udc00":1}', '["\\ude00\\ud83d"]'])('refuses %s even if it is lenient', (json) => {
    expect(() => canonicalJson(JSON.parse(json), { strict: false })).toThrow(BadJsonError)
    expect(() => assertCanonical(JSON.parse(json), { strict: false })).toThrow(BadJsonError)
  })

  it('refuses what nests too deeply', () => {
    expect(canonicalJson(nested(512) as [])).toHaveLength(1024)
    for (const depth of [513, 100_000]) {
      expect(() => canonicalJson(nested(depth) as [], { strict: false })).toThrow(BadJsonError)
      expect(() => assertCanonical(nested(depth), { strict: false })).toThrow(BadJsonError)
    }
  })

  it('writes any JSON as the library does, byte for byte', () => {
    const key = fc.oneof(
      fc.string({
        unit: fc.constantFrom('0', '1', '9', 'a', '\u007f', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}'),
      }),
      fc.constantFrom('__proto__', 'constructor', 'toString'),
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string({ unit: 'binary' }),
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
      ),
    }))
    fc.assert(
      fc.property(value, (json) => {
        const canonical = canonicalJson(json as object)
        expect(canonical).toBe(referenceJson(json))
        expect(canonicalJson(JSON.parse(canonical))).toBe(canonical)
        assertCanonical(json)
      }),
      { numRuns: 300 },
    )
  })

  it('throws nothing but MatrixError', () => {
    const anything = fc.anything({ withBigInt: true, withNullPrototype: true, withMap: true, withTypedArray: true })
    fc.assert(
      fc.property(anything, fc.boolean(), (value, strict) => {
        for (const run of [
          () => canonicalJson(value as object, { strict }),
          () => assertCanonical(value, { strict }),
        ]) {
          try {
            run()
          } catch (error) {
            expect(error).toBeInstanceOf(MatrixError)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})
