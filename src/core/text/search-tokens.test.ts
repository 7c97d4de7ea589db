import fc from 'fast-check'
import { expect, test } from 'vitest'
import { containsRuns, highlightWords, searchQuery, searchTokens } from './search-tokens.ts'

const finds = (term: string, text: string) => {
  const { tokens, runs } = searchQuery(term)
  const has = new Set(searchTokens(text))
  return tokens.length > 0 && tokens.every((token) => has.has(token)) && containsRuns(text, runs, { left: 1e6 })
}

test.each([
  ['hello', 'Hello, world!', true],
  ['WORLD hello', 'hello, world', true],
  ['hell', 'hello', false],
  ['Message 4', 'Message number 4', true],
  ['cafe', 'Das Café ist zu', true],
  ['Café', 'CAFE', true],
  ['北京', '我在北京大学读书', true],
  ['北京大学', '我在北京大学读书', true],
  ['大', '我在北京大学读书', true],
  ['北京大学', '北京很大,京大 大学', false],
  ['東京タワー', '昨日は東京タワーに行きました', true],
  ['ﾀﾜｰ', 'タワー', true],
  ['안녕', '여러분 안녕하세요', true],
  ['กรุงเทพ', 'ไปกรุงเทพกัน', true],
  ['matrix协议', '今天学习Matrix协议', true],
  ['привет', 'Привет, мир', true],
  ['नमस्ते', 'नमस्ते दुनिया', true],
  ['👍', 'good 👍👍', true],
  ['…!?', 'anything…!?', false],
])('%s in %s: %s', (term, text, found) => {
  expect(finds(term, text)).toBe(found)
})

test('a text finds itself, and tokens have neither spaces nor NUL', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const tokens = searchTokens(text)
      for (const token of tokens) expect(token).toMatch(/^[^\s\0]+$/u)
      if (searchQuery(text).tokens.length > 0) expect(finds(text, text)).toBe(true)
    }),
  )
})

test('words are highlighted as they are seen', () => {
  expect(highlightWords('Café, café 北京!')).toEqual(['café', '北京'])
})

test.each([
  ['characters without spaces', 'あ'],
  ['characters of two kinds in turn', 'aあ'],
  ['marks', '\u0300'],
  ['characters that become many', 'ﷺ'],
  ['pictures', '👍'],
])('no text takes more than its beginning, and no term: %s', (_what, text) => {
  const long = text.repeat(300_000)
  expect(searchTokens(long)).toEqual(searchTokens(text.repeat(40_000)))
  expect(searchQuery(long)).toEqual(searchQuery(text.repeat(1000)))
  expect(highlightWords(long).join('').length).toBeLessThanOrEqual(18_000)
})

test('looking for a long run takes steps in proportion to the text, and ends with them', () => {
  const run = `${'あ'.repeat(300)}い${'あ'.repeat(300)}`
  const stepsFor = (length: number) => {
    const work = { left: 1e9 }
    expect(containsRuns('あ'.repeat(length), [run], work)).toBe(false)
    return 1e9 - work.left
  }
  expect(stepsFor(40_000) / stepsFor(20_000)).toBeLessThan(2.1)
  expect(containsRuns(`${'い'.repeat(100)}うえお`, ['うえお'], { left: 150 })).toBe(false)
})
