import { expect, test } from 'vitest'
import { serverLists } from './patterns.ts'

const accepts = (...deny: string[]) => serverLists('').safeParse({ deny }).success

test('lists of servers have globs that can match', () => {
  const good = ['a.example', '*.A.example', '[2001:db8::1]', '[2001:*', '1.2.3.?', 'xn--bcher-kva.example', '*']
  expect(good.filter((glob) => !accepts(glob))).toEqual([])
  const bad = ['a.example:8448', '[2001:db8::1]:8448', '*:*', 'a.example.', 'bücher.example', 'a example']
  expect(bad.filter((glob) => accepts(glob))).toEqual([])
})
