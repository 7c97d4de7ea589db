import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob, compileWildcard, compileWordGlob, containsWords } from './glob.ts'

describe('compileGlob', () => {
  it.each([
    ['lunc?*', 'lunch plans', true],
    ['lunc?*', 'lunch', true],
    ['lunc?*', ' lunch', false],
    ['lunc?*', 'lunc', false],
    ['', '', true],
    ['', 'x', false],
    ['*', '', true],
    ['**', 'anything', true],
    ['?', '', false],
    ['?', '🎉', true],
    ['?', '🎉🎉', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'acb', false],
    ['*ab', 'aab', true],
    ['*a?', 'aab', true],
    ['*?', '', false],
    ['m.room.*', 'm.room.message', true],
    ['m.room.*', 'mxroom.message', false],
    ['[a-z]+', 'abc', false],
    ['a\nb*', 'a\nbc', true],
  ])('%j against %j: %j', (pattern, text, expected) => {
    expect(compileGlob(pattern)(text)).toBe(expected)
  })

  it('agrees with a regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 8 })
    fc.assert(
      fc.property(
        letters,
        fc.string({ unit: fc.constantFrom('a', 'b', '.', '🎉'), maxLength: 10 }),
        (pattern, text) => {
          expect(compileGlob(pattern)(text)).toBe(new RegExp(`^${regexOf(pattern)}$`, 'su').test(text))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('takes no longer for patterns on which a regular expression would backtrack', () => {
    const matches = compileGlob(`${'a*'.repeat(200)}b`)
    expect(matches('a'.repeat(60_000))).toBe(false)
  })
})

describe('compileWildcard', () => {
  it.each([
    ['m.*', 'm.room', true],
    ['m.?', 'm.x', false],
    ['m.?*', 'm.?x', true],
    ['*.member', 'm.room.member', true],
    ['m.room', 'm.room', true],
    ['m.room', 'm.rooms', false],
  ])('%j against %j: %j', (pattern, text, expected) => {
    expect(compileWildcard(pattern)(text)).toBe(expected)
  })
})

describe('compileWordGlob', () => {
  it.each([
    ['ex*ple', 'an example event.', true],
    ['ex*ple', 'exple', true],
    ['ex*ple', 'an exciting triple-whammy', true],
    ['ex*ple', 'an inexample', false],
    ['ex*ple', 'exampled', false],
    ['ex*ple', 'exampled example', true],
    ['cake', 'cake', true],
    ['cake', 'cakes', false],
    ['cake', 'cupcake', false],
    ['cake', 'cakes, cake', true],
    ['cake', 'a_cake', false],
    ['cake', 'ücake', true],
    ['cake', 'cake🎂', true],
    ['c?ke', 'a coke!', true],
    ['c?ke', 'a cooke!', false],
    ['c*', 'a cat', true],
    ['c*', 'acat', false],
    ['*t', 'acat x', true],
    ['@room', 'hello @room', true],
    ['?', 'ab 🎉', true],
    ['??', 'abc', false],
    ['*', '', true],
    ['', 'text', false],
    ['', '', true],
  ])('%j in %j: %j', (pattern, text, expected) => {
    expect(compileWordGlob(pattern)(text)).toBe(expected)
  })

  it('agrees with a regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '-'), minLength: 1, maxLength: 7 })
    const boundary = '(?:^|$|(?<=[^a-z0-9_])|(?=[^a-z0-9_]))'
    fc.assert(
      fc.property(
        letters,
        fc.string({ unit: fc.constantFrom('a', 'b', '-', '🎉'), maxLength: 10 }),
        (pattern, text) => {
          const expected = new RegExp(`${boundary}${regexOf(pattern)}${boundary}`, 'su').test(text)
          expect(compileWordGlob(pattern)(text)).toBe(expected)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('survives text of halves of characters', () => {
    expect(compileWordGlob('?b')('\udc00'.repeat(60_000))).toBe(false)
  })
})

describe('containsWords', () => {
  it.each([
    ['hello alice!', 'alice', true],
    ['hello malice!', 'alice', false],
    ['who? *bob*', '*bob*', true],
    ['who? xbobx', '*bob*', false],
  ])('%j has %j: %j', (text, words, expected) => {
    expect(containsWords(text, words)).toBe(expected)
  })
})

function regexOf(pattern: string): string {
  return pattern.replace(/[.*?]/g, (character) => ({ '*': '.*', '?': '.' })[character] ?? `\\${character}`)
}
