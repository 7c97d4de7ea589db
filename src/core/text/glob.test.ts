import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob, compileWildcard, compileWordGlob, containsWords, type Glob } from './glob.ts'

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

describe('work', () => {
  const long = 'ab'.repeat(400)
  /**
   * Patterns and texts for which backtracking, or the engine's own search, takes time proportional to the product of
   * their lengths.
   */
  const hostile: [name: string, glob: Glob, text: (length: number) => string][] = [
    ['a ? before a long run', compileWordGlob(`*?${'a'.repeat(250)}b*`), (length) => 'a'.repeat(length)],
    [
      'a ? inside a long run',
      compileWordGlob(`${'a'.repeat(120)}?${'a'.repeat(120)}b`),
      (length) => 'a'.repeat(length),
    ],
    ['a ? after each character', compileWordGlob(`${'a?'.repeat(120)}b`), (length) => 'a'.repeat(length)],
    ['only ?', compileGlob(`*${'?'.repeat(250)}b*`), (length) => 'a'.repeat(length)],
    ['? beside pictures', compileWordGlob(`${'🎉?'.repeat(120)}b`), (length) => '🎉'.repeat(length / 2)],
    ['a long run', compileWordGlob(`${'a'.repeat(4000)}b`), (length) => 'a'.repeat(length)],
    ['a long run behind another character', compileWordGlob(`b${'a'.repeat(4000)}`), (length) => 'a'.repeat(length)],
    [
      'a character inside a long run',
      compileGlob(`*${'a'.repeat(4000)}b${'a'.repeat(4000)}*`),
      (length) => 'a'.repeat(length),
    ],
    ['many *', compileGlob(`${'a*'.repeat(4000)}b*c`), (length) => 'a'.repeat(length)],
    ['many * between long runs', compileGlob(`*${`${long}*`.repeat(10)}c*`), (length) => 'ab'.repeat(length / 2)],
    ['many * and ?', compileGlob(`${'a?*'.repeat(2000)}b*c`), (length) => 'a'.repeat(length)],
    ['words that end too late', compileWordGlob('a a'), (length) => 'aa '.repeat(length / 3)],
    [
      'a long word that never ends',
      (text, work) => containsWords(text, 'a'.repeat(4000), work),
      (length) => 'a'.repeat(length),
    ],
    [
      'a short word that never ends',
      (text, work) => containsWords(text, 'aaa', work),
      (length) => `a${'a'.repeat(length)}`,
    ],
    ['an empty piece before the end of a word', compileWordGlob('*b'), (length) => 'a'.repeat(length)],
  ]

  it.each(hostile)('grows as the text does: %s', (_name, glob, text) => {
    const [once, twice] = [30_000, 60_000].map((length) => stepsOf(glob, text(length)))
    expect(twice! / once!).toBeLessThan(2.1)
    // One step for each character, and one for each 32 characters of a piece with `?`.
    expect(once!).toBeLessThan(30_000 * (256 / 32 + 2))
  })

  it.each(hostile)('ends where the steps do: %s', (_name, glob, text) => {
    const work = { left: 5000 }
    expect(glob(text(60_000), work)).toBe(false)
    expect(work.left).toBeLessThan(0)
    expect(work.left).toBeGreaterThan(-61_000)
  })

  it('matches nothing by more than 256 characters in one piece with ?', () => {
    const [most, more] = [255, 256].map((length) => compileGlob(`${'a'.repeat(length)}?`))
    expect(most!('a'.repeat(256))).toBe(true)
    expect(more!('a'.repeat(257))).toBe(false)
  })

  it('matches as long as there are steps', () => {
    const glob = compileGlob('*tea?*')
    expect(glob(`${'-'.repeat(100)}teas`, { left: 105 })).toBe(true)
    expect(glob(`${'-'.repeat(100)}teas`, { left: 100 })).toBe(false)
  })
})

function stepsOf(glob: Glob, text: string): number {
  const work = { left: 1e12 }
  expect(glob(text, work)).toBe(false)
  return 1e12 - work.left
}

function regexOf(pattern: string): string {
  return pattern.replace(/[.*?]/g, (character) => ({ '*': '.*', '?': '.' })[character] ?? `\\${character}`)
}
