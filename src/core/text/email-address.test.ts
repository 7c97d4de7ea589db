import { expect, test } from 'vitest'
import { parseEmailAddress } from './email-address.ts'
import { foldCase } from './fold-case.ts'

test.each([
  ['alice@example.org', 'alice@example.org'],
  ['  Alice@Example.ORG\t', 'alice@example.org'],
  ['\u00a0\ufeff\u2003alice@example.org\r\n', 'alice@example.org'],
  ['Strauß@Example.com', 'strauss@example.com'],
  ['STRAUẞ@example.com', 'strauss@example.com'],
  ['\u212aelvin@example.com', 'kelvin@example.com'],
  ['o\ufb03ce@example.com', 'office@example.com'],
])('%j is the address %j', (text, canonical) => {
  expect(parseEmailAddress(text)).toBe(canonical)
  expect(parseEmailAddress(canonical)).toBe(canonical)
})

test.each([
  '',
  'alice',
  'alice@',
  'a@b@example.org',
  'al ice@example.org',
  'alice@example.org, bob@example.org',
  'alice@example.org\r\nBcc: bob@example.org',
  'alice@example.org\0',
  '<alice@example.org>',
  'mailto:alice@example.org',
  'ıce@example.org',
  `${'a'.repeat(250)}@example.org`,
])('%j is none', (text) => expect(parseEmailAddress(text)).toBeUndefined())

test('folding makes one of all forms of a letter', () => {
  expect(foldCase('ΣΑΣς')).toBe('σασσ')
  expect(foldCase('MASSE Maße')).toBe('masse masse')
  expect(foldCase('Iıİ')).toBe('iıi̇')
})
