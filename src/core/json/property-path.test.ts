import { describe, expect, it } from 'vitest'
import { parsePropertyPath, valueAt } from './property-path.ts'

describe('parsePropertyPath', () => {
  it.each([
    ['type', ['type']],
    ['content.body', ['content', 'body']],
    ['content.m\\.relates_to', ['content', 'm.relates_to']],
    ['content.m\\\\foo', ['content', 'm\\foo']],
    ['content.m\\x', ['content', 'm\\x']],
    ['a\\\\.b', ['a\\', 'b']],
    ['a\\', ['a\\']],
    ['', ['']],
    ['a..b', ['a', '', 'b']],
  ])('%j', (path, names) => {
    expect(parsePropertyPath(path)).toEqual(names)
  })
})

describe('valueAt', () => {
  const event = JSON.parse('{"type":"t","content":{"a.b":{"c":1},"list":[1],"none":null,"__proto__":{"x":2}}}')
  it.each([
    [['type'], 't'],
    [['content', 'a.b', 'c'], 1],
    [['content', 'none'], null],
    [['content', 'none', 'x'], undefined],
    [['content', 'list', 'length'], undefined],
    [['content', 'list', '0'], undefined],
    [['content', 'toString'], undefined],
    [['content', '__proto__', 'x'], 2],
    [['type', 'length'], undefined],
    [['missing'], undefined],
  ])('%j', (names, value) => {
    expect(valueAt(event, names)).toEqual(value)
  })
})
