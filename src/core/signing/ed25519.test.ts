import { generateKeyPairSync, sign } from 'node:crypto'
import nacl from 'tweetnacl'
import { expect, test } from 'vitest'
import { isSignedBy, loadSodiumAnywhere } from './ed25519.ts'

const pair = generateKeyPairSync('ed25519')
const key = Buffer.from(pair.publicKey.export({ format: 'jwk' }).x!, 'base64url')
const data = Buffer.from('data')
const signature = sign(null, data, pair.privateKey)

test('signatures by OpenSSL are valid; changed ones and wrong lengths are not', () => {
  expect(isSignedBy(key, data, signature)).toBe(true)
  expect(isSignedBy(key, Buffer.from('date'), signature)).toBe(false)
  for (const part of [Buffer.alloc(0), key.subarray(1), Buffer.concat([key, key])]) {
    expect(isSignedBy(part, data, signature)).toBe(false)
  }
  for (const part of [Buffer.alloc(0), signature.subarray(1), Buffer.concat([signature, key])]) {
    expect(isSignedBy(key, data, part)).toBe(false)
  }
})

test('a key that anybody could sign anything with is none, on every machine', async () => {
  // The neutral point of the curve as key and in the signature: the equation alone accepts it.
  const neutral = Buffer.alloc(32)
  neutral[0] = 1
  const forged = Buffer.concat([neutral, Buffer.alloc(32)])
  expect(nacl.sign.detached.verify(data, forged, neutral)).toBe(true)
  const anywhere = await loadSodiumAnywhere()
  expect([isSignedBy(neutral, data, forged), anywhere(forged, data, neutral)]).toEqual([false, false])
  expect([anywhere(signature, data, key), anywhere(signature, Buffer.from('date'), key)]).toEqual([true, false])
})
