import { expect, test } from 'vitest'
import type { ServerName } from '../ids.ts'
import { isAllowedByAcl } from './server-acl.ts'

const allows = (content: Parameters<typeof isAllowedByAcl>[0], server: string) =>
  isAllowedByAcl(content, server as ServerName)

test('a room without an ACL lets every server take part', () => {
  expect(allows(undefined, 'evil.com')).toBe(true)
})

test('a denied server is refused, even if it is allowed as well, and so is one that is not allowed', () => {
  const acl = { allow: ['*'], deny: ['*.evil.com', 'evil.com'] }
  expect(allows(acl, 'good.org')).toBe(true)
  expect(allows(acl, 'evil.com')).toBe(false)
  expect(allows(acl, 'very.EVIL.com:8448')).toBe(false)
  for (const server of ['evil.com.', 'EVIL.COM.:8448', 'very.evil.com..']) expect(allows(acl, server)).toBe(false)
  expect(allows({ allow: ['good.org'] }, 'other.org')).toBe(false)
  expect(allows({ allow: ['good.org'] }, 'good.org:1234')).toBe(true)
})

test('patterns know * and ? and nothing else', () => {
  expect(allows({ allow: ['go?d.org'] }, 'good.org')).toBe(true)
  expect(allows({ allow: ['go.d.org'] }, 'good.org')).toBe(false)
})

test('IP literals are let in unless they are not', () => {
  expect(allows({ allow: ['*'] }, '1.2.3.4:80')).toBe(true)
  for (const server of [
    '1.2.3.4',
    '1.2.3.4:80',
    '[::1]',
    '[::1]:8448',
    '1.2.3.4.',
    '16909060',
    '1.2.772:80',
    '0x1020304',
    '0X1.2.3.4',
  ])
    expect(allows({ allow: ['*'], allow_ip_literals: false }, server)).toBe(false)
  for (const server of ['4.example', '1.2.3.4.example:80', 'x0x1'])
    expect(allows({ allow: ['*'], allow_ip_literals: false }, server)).toBe(true)
})

test('lists that are malformed allow nobody', () => {
  expect(allows({}, 'good.org')).toBe(false)
  expect(allows({ allow: 'good.org' }, 'good.org')).toBe(false)
  expect(allows({ allow: [1, '*'], deny: 'good.org' }, 'good.org')).toBe(true)
})
