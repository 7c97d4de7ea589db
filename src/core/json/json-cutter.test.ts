import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JsonCutter, MalformedJsonError } from './json-cutter.ts'

function cut(text: string, sizes: readonly number[] = [], maxPartBytes = 10_000) {
  const cutter = new JsonCutter({ lists: new Set(['state', 'auth_chain']), maxPartBytes, maxParts: 1000 })
  const bytes = Buffer.from(text)
  const parts = []
  let start = 0
  for (const size of [...sizes, bytes.length]) {
    parts.push(...cutter.push(bytes.subarray(start, start + size)))
    start += size
  }
  cutter.end()
  return parts
}

const values = fc.jsonValue({ maxDepth: 3 })
const objects = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('state', 'auth_chain', '__proto__')), values)

test('the parts of any object are its members and the items of its lists, however it is cut and laid out', () => {
  fc.assert(
    fc.property(
      objects,
      fc.array(fc.integer({ min: 0, max: 9 })),
      fc.integer({ min: 0, max: 2 }),
      (object, sizes, space) => {
        const text = JSON.stringify(object, null, space)
        const expected = Object.entries(object).flatMap(([key, value]) =>
          ['state', 'auth_chain'].includes(key) && Array.isArray(value)
            ? value.map((item) => [key, item])
            : [[key, value]],
        )
        expect(cut(text, sizes).map(({ key, text }) => [key, JSON.parse(text)])).toEqual(
          JSON.parse(JSON.stringify(expected)),
        )
      },
    ),
  )
})

test.each([
  ['[]', 'no object'],
  ['[200, {"state": []}]', 'no object'],
  ['{"state": [1, 2}', 'a list that does not end'],
  ['{"state": [1, 2]', 'an object that does not end'],
  ['{"state": [1] 2}', 'more after a list'],
  ['{"a": 1} {}', 'more after the object'],
  ['{"a"}', 'no value'],
  ['{"a":}', 'no value'],
  ['{1: 2}', 'no name'],
  ['{"a": 1]', 'wrong end'],
  ['', 'nothing'],
])('%s is refused: %s', (text) => {
  expect(() => cut(text)).toThrow(MalformedJsonError)
})

test('a part that is too large is refused before it has arrived as a whole', () => {
  const cutter = new JsonCutter({ lists: new Set(['state']), maxPartBytes: 100, maxParts: 1000 })
  cutter.push(Buffer.from(`{"state": [{"a": "${'x'.repeat(50)}`))
  expect(() => cutter.push(Buffer.from('x'.repeat(60)))).toThrow(MalformedJsonError)
})

test('parts without end are refused, and so are blanks', () => {
  const cutter = () => new JsonCutter({ lists: new Set(['state']), maxPartBytes: 100, maxParts: 10 })
  expect(cutter().push(Buffer.from(`{"state": [${'1,'.repeat(9)}`))).toHaveLength(9)
  expect(() => cutter().push(Buffer.from(`{"state": [${'1,'.repeat(10)}`))).toThrow(MalformedJsonError)
  expect(() => cutter().push(Buffer.from(`{${'"a":1,'.repeat(6)}`))).toThrow(MalformedJsonError)
  const spaced = cutter()
  for (let i = 0; i < 9; i++) spaced.push(Buffer.from(`${i === 0 ? '{"state": [' : ''}${' '.repeat(60_000)}1,`))
  expect(() => spaced.push(Buffer.from(' '.repeat(70_000)))).toThrow(MalformedJsonError)
})
