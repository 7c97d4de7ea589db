import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withoutMember } from './without-member.ts'

test.each([
  ['{"unsigned":{"age":1},"a":1}', '{"a":1}'],
  ['{"a":1,"unsigned":{"x":[{"unsigned":2}]}}', '{"a":1}'],
  ['{"a":1, "unsigned" : "x,}", "b":12345678901234567890}', '{"a":1, "b":12345678901234567890}'],
  ['{"unsigned":1}', '{}'],
  ['{"content":{"unsigned":1},"b":"unsigned"}', '{"content":{"unsigned":1},"b":"unsigned"}'],
  ['{"a":"\\"unsigned\\":","b":1.50}', '{"a":"\\"unsigned\\":","b":1.50}'],
])('%s', (text, rest) => {
  expect(withoutMember(text, 'unsigned')).toBe(rest)
})

test('of any object only the member is removed', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.json()), fc.json(), (others, value) => {
      const { unsigned: _unsigned, ...kept } = others
      const members = Object.entries(kept).map(([key, json]) => `${JSON.stringify(key)}:${json}`)
      const place = Math.floor(members.length / 2)
      const all = [...members.slice(0, place), `"unsigned":${value}`, ...members.slice(place)]
      expect(withoutMember(`{${all.join(',')}}`, 'unsigned')).toBe(`{${members.join(',')}}`)
    }),
  )
})
