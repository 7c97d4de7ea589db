import { expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { personOf } from './upstream-person.ts'

const cas = { kind: 'cas', id: 'campus', name: 'Campus', server_url: 'https://cas.example.org' } as const
const [config] = defaultConfig({ identity_providers: [cas] }).identity_providers
const person = (identity: { subject: string; sid?: string }, claims = {}) =>
  personOf(config!, { sid: undefined, ...identity, claims })

test.each([
  ['a subject with NUL', { subject: 'a\0b' }],
  ['a subject with half a character', { subject: 'a\ud800b' }],
  ['an empty subject', { subject: '' }],
  ['a subject that is too long for an index', { subject: 'a'.repeat(1025) }],
  ['a session with NUL', { subject: 'a', sid: 'a\0b' }],
  ['a session that is too long for an index', { subject: 'a', sid: '€'.repeat(342) }],
])('%s is a fault of the provider', (_, identity) => {
  expect(() => person(identity)).toThrow(expect.objectContaining({ fault: 'invalid' }))
})

test('names as long as an index permits are known', () => {
  const identity = { subject: 'a'.repeat(1024), sid: 'b'.repeat(1024) }
  expect(person(identity)).toMatchObject(identity)
})

test('a person with NUL in a claim has a label that can be stored', () => {
  expect(person({ subject: '1' }, { user: 'a\0b' }).label).toBe('a\ufffdb')
})
