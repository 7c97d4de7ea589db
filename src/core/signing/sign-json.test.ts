import fc from 'fast-check'
import nacl from 'tweetnacl'
import { describe, expect, it } from 'vitest'
import { BadJsonError } from '../errors.ts'
import type { ServerName } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import { encodeBase64 } from '../text/base64.ts'
import { signJson } from './sign-json.ts'
import { parseSigningKey, signingKeyFromSeed } from './signing-key.ts'
import { verifyJson } from './verify-json.ts'

/** https://spec.matrix.org/v1.19/appendices/#cryptographic-test-vectors */
const key = parseSigningKey('ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')
const domain = 'domain' as ServerName
const VECTORS: [object, string][] = [
  [{}, 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ'],
  [{ one: 1, two: 'Two' }, 'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw'],
]

describe('signJson', () => {
  it.each(VECTORS)('signs %j as the specification does', (object, signature) => {
    expect(signJson(object, domain, key)).toEqual({ ...object, signatures: { domain: { 'ed25519:1': signature } } })
  })

  it('leaves out unsigned, keeps the signatures of others, and changes only a copy', () => {
    const [object, signature] = VECTORS[1]!
    const others = { domain: { 'ed25519:0': 'a' }, other: { 'ed25519:1': 'b' } }
    const before = { ...object, unsigned: { age: 1.5 }, signatures: others }
    const copy = structuredClone(before)
    expect(signJson(before, domain, key)).toEqual({
      ...before,
      signatures: { domain: { 'ed25519:0': 'a', 'ed25519:1': signature }, other: { 'ed25519:1': 'b' } },
    })
    expect(before).toEqual(copy)
  })

  it('signs the numbers of old rooms, but not what has no UTF-8', () => {
    const signed = signJson({ level: 50.5 }, domain, key)
    expect(verifyJson(signed, domain, key.keyId, key.publicKey)).toBe(true)
    expect(() => signJson({ body: '\ud800' }, domain, key)).toThrow(BadJsonError)
  })
})

describe('verifyJson', () => {
  const signed = signJson({ one: 1, two: 'Two', unsigned: { age: 1 } }, domain, key)
  const verify = (object: unknown) => verifyJson(object, domain, key.keyId, key.publicKey)

  it('takes what was signed, whatever is unsigned', () => {
    expect(verify(signed)).toBe(true)
    expect(verify({ ...signed, unsigned: { other: 1 } })).toBe(true)
    expect(verify({ ...signed, signatures: { ...signed.signatures, other: { 'ed25519:1': 'x' } } })).toBe(true)
  })

  it('refuses what was changed, another key, and another name', () => {
    expect(verify({ ...signed, one: 2 })).toBe(false)
    expect(verify({ ...signed, three: 3 })).toBe(false)
    expect(verifyJson(signed, 'other', key.keyId, key.publicKey)).toBe(false)
    expect(verifyJson(signed, domain, 'ed25519:2', key.publicKey)).toBe(false)
    const other = signingKeyFromSeed('1', Buffer.alloc(32))
    expect(verifyJson(signed, domain, key.keyId, other.publicKey)).toBe(false)
  })

  it('is false for anything malformed', () => {
    const garbage = [undefined, null, 1, 'x', [], {}, { signatures: 1 }, { signatures: { domain: null } }]
    const signatures = ['', 'x', '!', 1, null, encodeBase64(new Uint8Array(64)), encodeBase64(new Uint8Array(63))]
    const withSignature = (signature: unknown) => ({ ...signed, signatures: { domain: { 'ed25519:1': signature } } })
    for (const object of [...garbage, ...signatures.map(withSignature)]) expect(verify(object)).toBe(false)
    expect(verify({ ...signed, body: '\ud800' })).toBe(false)
    for (const publicKey of ['', 'x', encodeBase64(new Uint8Array(31)), encodeBase64(new Uint8Array(32))]) {
      expect(verifyJson(signed, domain, key.keyId, publicKey)).toBe(false)
    }
    expect(verifyJson(signed, 'constructor', 'name', key.publicKey)).toBe(false)
    fc.assert(
      fc.property(fc.anything(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (object, bytes) => {
        expect(verify(object)).toBe(false)
        expect(verifyJson(signed, domain, key.keyId, encodeBase64(bytes))).toBe(false)
      }),
    )
  })
})

describe('signing, checking and NaCl', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

  it('make the same signatures, and take each other’s', () => {
    fc.assert(
      fc.property(bytes(32), fc.dictionary(fc.string(), fc.string()), (seed, body) => {
        const pair = nacl.sign.keyPair.fromSeed(seed)
        const ours = signJson({ body }, domain, signingKeyFromSeed('1', seed))
        const theirs = encodeBase64(nacl.sign.detached(Buffer.from(canonicalJson({ body })), pair.secretKey))
        expect(ours.signatures).toEqual({ domain: { 'ed25519:1': theirs } })
        expect(verifyJson(ours, domain, 'ed25519:1', encodeBase64(pair.publicKey))).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  it('refuse the same signatures', () => {
    fc.assert(
      fc.property(bytes(32), fc.nat(511), (seed, bit) => {
        const pair = nacl.sign.keyPair.fromSeed(seed)
        const message = Buffer.from(canonicalJson({ a: 1 }))
        const signature = nacl.sign.detached(message, pair.secretKey)
        signature[bit >> 3]! ^= 1 << (bit & 7)
        const forged = { a: 1, signatures: { domain: { 'ed25519:1': encodeBase64(signature) } } }
        expect(nacl.sign.detached.verify(message, signature, pair.publicKey)).toBe(false)
        expect(verifyJson(forged, domain, 'ed25519:1', encodeBase64(pair.publicKey))).toBe(false)
      }),
      { numRuns: 40 },
    )
  })
})
