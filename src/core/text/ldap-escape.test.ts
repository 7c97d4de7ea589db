import { Filter } from 'ldapts'
import { expect, test } from 'vitest'
import { escapeForLdap } from './ldap-escape.ts'

test.each([
  ['alice', 'alice'],
  ['alice.smith@example.org', 'alice.smith@example.org'],
  ['*', '\\2a'],
  ['x)(uid=*', 'x\\29\\28uid\\3d\\2a'],
  ['a,ou=admins', 'a\\2cou\\3dadmins'],
  [' a ', '\\20a\\20'],
  ['#a+b;c<d>e"f\\g', '\\23a\\2bb\\3bc\\3cd\\3ee\\22f\\5cg'],
  ['a\0b\nc', 'a\\00b\\0ac'],
  ['é', 'é'],
])('%j becomes %s', (text, escaped) => {
  expect(escapeForLdap(text)).toBe(escaped)
})

test('escapes at least what the LDAP library escapes in filters', () => {
  for (let code = 0; code < 128; code++) {
    const character = String.fromCharCode(code)
    if (Filter.escape(character) !== character) expect(escapeForLdap(character)).toBe(Filter.escape(character))
  }
})
