import { hash } from '@node-rs/argon2'
import { expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { createPasswordHasher, hashWithSecret, isImportedHash, MAX_PASSWORD_LENGTH } from './password-hasher.ts'

const { passwords } = defaultConfig({ passwords: { memory_kib: 64, iterations: 1 } })
const hasher = createPasswordHasher(passwords)

test('a password is stored as argon2id with the configured costs, and verified', async () => {
  const hash = await hasher.hash('correct horse')
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$/)
  expect(await hasher.verify(hash, 'correct horse')).toBe(true)
  expect(await hasher.verify(hash, 'wrong horse')).toBe(false)
})

test('the same password in another Unicode form is the same password', async () => {
  expect(await hasher.verify(await hasher.hash('caf\u00e9'), 'cafe\u0301')).toBe(true)
})

test('nothing matches where there is no hash, not even the empty password', async () => {
  expect(await hasher.verify(null, '')).toBe(false)
  expect(await hasher.verify(undefined, 'x')).toBe(false)
})

test('a hash that is none matches nothing', async () => {
  expect(await hasher.verify('rubbish', 'rubbish')).toBe(false)
})

test('many at once all finish', async () => {
  const hash = await hasher.hash('one')
  const results = await Promise.all(Array.from({ length: 20 }, (_, i) => hasher.verify(hash, i % 2 ? 'one' : 'two')))
  expect(results).toEqual(Array.from({ length: 20 }, (_, i) => i % 2 === 1))
})

test('no password is longer than 1024 characters, whatever was hashed', async () => {
  const long = 'x'.repeat(MAX_PASSWORD_LENGTH)
  expect(await hasher.verify(await hasher.hash(long), long)).toBe(true)
  expect(await hasher.verify(await hasher.hash(`${long}x`), `${long}x`)).toBe(false)
  expect(await hasher.verify(await hasher.hash(''), `${long}x`)).toBe(false)
})

test('an imported bcrypt hash is verified with its pepper, of the first 72 bytes', async () => {
  // By Python's bcrypt, of 'correct café' in NFKC, followed by 'pepper'.
  const imported = '$2b$04$Z1yzaBcHeJDjg7Fsd1eWeeKv2sPoEuivjds7GXekr4u/XfD0uA0yq'
  const peppered = createPasswordHasher(passwords, { pepper: 'pepper' })
  expect(isImportedHash(imported)).toBe(true)
  expect(isImportedHash(await hasher.hash('x'))).toBe(false)
  expect(await peppered.verify(imported, 'correct cafe\u0301')).toBe(true)
  expect(await peppered.verify(imported, 'correct')).toBe(false)
  expect(await hasher.verify(imported, 'correct caf\u00e9')).toBe(false)
  const long = '$2b$04$1PwVjzkLROBWfTJU10u/Hu6Z39Ck6ys/p9akJ//x3UqFtdbzx3qc2'
  expect(await hasher.verify(long, 'y'.repeat(100))).toBe(true)
  expect(await hasher.verify(long, 'y'.repeat(71))).toBe(false)
})

test('an imported Argon2 hash is verified with its secret, and of text that was not normalised', async () => {
  const costs = { memoryCost: 64, timeCost: 1 }
  const secret = Buffer.from([0, 255, 7])
  const imported = hashWithSecret(await hash('cafe\u0301', { ...costs, secret }))
  const knowing = createPasswordHasher(passwords, { argon2: secret.toString('base64') })
  expect(isImportedHash(imported)).toBe(true)
  expect(await knowing.verify(imported, 'cafe\u0301')).toBe(true)
  expect(await knowing.verify(imported, 'caf\u00e9')).toBe(false)
  expect(await hasher.verify(imported, 'cafe\u0301')).toBe(false)
  expect(await hasher.verify(await hash('cafe\u0301', costs), 'cafe\u0301')).toBe(true)
})
