import { describe, expect, test } from 'vitest'
import { fillTemplate, isClaimTemplate } from './claim-template.ts'

describe('a template is', () => {
  test.each(['{sub}', 'u-{sub}', '{email|localpart}', '{given_name} {family_name}', '{https://example.org/name}'])(
    'valid: %s',
    (template) => expect(isClaimTemplate(template)).toBe(true),
  )
  test.each(['', 'anna', '{}', '{sub', 'sub}', '{{sub}}', '{sub|}', '{sub|shout}', '{sub|constructor}', '{a|b|c}'])(
    'invalid: %s',
    (template) => expect(isClaimTemplate(template)).toBe(false),
  )
})

const CLAIMS = {
  sub: '7',
  name: ' Anna ',
  empty: ' ',
  number: 42,
  admin: true,
  email: 'Anna@example.org',
  emails: ['first@example.org', 'second@example.org'],
  address: { country: 'NO', 'a.b': 'nested' },
  'https://example.org/name': 'url',
  nothing: null,
}

describe('a filled template', () => {
  test.each([
    ['{sub}', '7'],
    ['{name}', 'Anna'],
    ['u{number}', 'u42'],
    ['{email|localpart}', 'Anna'],
    ['{email|lower}', 'anna@example.org'],
    ['{emails}', 'first@example.org'],
    ['{address.country}', 'NO'],
    ['{address.a.b}', 'nested'],
    ['{https://example.org/name}', 'url'],
    ['{name}({sub})', 'Anna (7)'],
  ])('%s gives %s', (template, text) => expect(fillTemplate(template, CLAIMS)).toBe(text))
  test.each(['{missing}', '{empty}', '{admin}', '{nothing}', '{address}', '{sub.length}', '{name} {missing}'])(
    '%s gives nothing',
    (template) => expect(fillTemplate(template, CLAIMS)).toBeUndefined(),
  )
  test.each(['{constructor}', '{__proto__}', '{toString.name}', '{address.constructor.name}'])(
    'does not read what objects inherit: %s',
    (template) => expect(fillTemplate(template, CLAIMS)).toBeUndefined(),
  )
  test('does not grow beyond a bound', () => {
    expect(fillTemplate('{long}', { long: 'x'.repeat(2000) })).toBeUndefined()
  })
})
