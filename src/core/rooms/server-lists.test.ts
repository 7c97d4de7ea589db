import { expect, test } from 'vitest'
import type { ServerName } from '../ids.ts'
import { isDeniedBy } from './server-lists.ts'

test.each<[string, { allow?: string[]; deny?: string[] }, string, boolean]>([
  ['empty lists deny nobody', {}, 'a.example', false],
  ['a denied server', { deny: ['a.example'] }, 'a.example', true],
  ['a subdomain is another server', { deny: ['a.example'] }, 'b.a.example', false],
  ['a glob', { deny: ['*.a.example'] }, 'b.a.example', true],
  ['a port, capitals and a trailing dot', { deny: ['a.example'] }, 'A.Example.:8449', true],
  ['another port of an allowed server', { allow: ['a.example'] }, 'a.example:1', false],
  ['what is not allowed', { allow: ['a.example'] }, 'b.example', true],
  ['allowed and denied', { allow: ['*'], deny: ['a.example'] }, 'a.example', true],
])('%s', (_name, { allow = [], deny = [] }, server, isDenied) => {
  expect(isDeniedBy({ allow, deny }, server as ServerName)).toBe(isDenied)
})
