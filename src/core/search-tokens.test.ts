import fc from 'fast-check'
import { expect, test } from 'vitest'
import { containsRuns, highlightWords, searchQuery, searchTokens } from './search-tokens.ts'

const finds = (term: string, text: string) => {
  const { tokens, runs } = searchQuery(term)
  const has = new Set(searchTokens(text))
  return tokens.length > 0 && tokens.every((token) => has.has(token)) && containsRuns(text, runs)
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
