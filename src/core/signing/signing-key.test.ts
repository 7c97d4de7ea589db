import fc from 'fast-check'
import nacl from 'tweetnacl'
import { describe, expect, it } from 'vitest'
import { InvalidParamError, MatrixError } from '../errors.ts'
import { decodeBase64, encodeBase64, encodeBase64Url } from '../text/base64.ts'
import { formatSigningKey, parseSigningKey, signingKeyFromSeed } from './signing-key.ts'

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('Base64', () => {
  /** https://spec.matrix.org/v1.19/appendices/#unpadded-base64 */
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
  ])('of %j is %j', (text, encoded) => {
    expect(encodeBase64(Buffer.from(text))).toBe(encoded)
    expect(decodeBase64(encoded)?.toString()).toBe(text)
  })

  it('has two alphabets, and padding if it likes', () => {
    const bytes = Uint8Array.of(0xfb, 0xff, 0xfe, 0xff)
    expect([encodeBase64(bytes), encodeBase64Url(bytes)]).toEqual(['+//+/w', '-__-_w'])
    for (const text of ['+//+/w', '-__-_w', '+//+/w==', '-__-_w==', '+//+_x']) {
      expect(decodeBase64(text)).toEqual(Buffer.from(bytes))
    }
  })

  it.each(['a', 'abcde', 'ab c', 'ab\n', 'a=bc', '===', 'ab===', 'ä', '!'])('is not %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })

  it('comes back from either alphabet', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase64(encodeBase64(bytes))).toEqual(Buffer.from(bytes))
        expect(decodeBase64(encodeBase64Url(bytes))).toEqual(Buffer.from(bytes))
      }),
    )
  })
})

describe('signing keys', () => {
  it('have the public key that NaCl derives', () => {
    fc.assert(
      fc.property(seed, (bytes) => {
        const { publicKey } = nacl.sign.keyPair.fromSeed(bytes)
        expect(signingKeyFromSeed('1', bytes).publicKey).toBe(encodeBase64(publicKey))
      }),
      { numRuns: 20 },
    )
  })

  it('are read from the file format that Synapse writes', () => {
    const key = parseSigningKey('ed25519 a_AbCd YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n')
    expect(key.keyId).toBe('ed25519:a_AbCd')
    expect(key.publicKey).toBe('XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI')
  })

  it('come back from their file', () => {
    fc.assert(
      fc.property(seed, (bytes) => {
        const key = signingKeyFromSeed('a_1', bytes)
        const text = formatSigningKey(key)
        expect(text).toBe(`ed25519 a_1 ${encodeBase64(bytes)}\n`)
        const { privateKey, ...rest } = parseSigningKey(text)
        expect(rest).toEqual({ keyId: key.keyId, publicKey: key.publicKey })
        expect(privateKey.equals(key.privateKey)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  const encoded = encodeBase64(Buffer.alloc(32, 1))
  it.each([
    '',
    'ed25519',
    'ed25519 a',
    `rsa a ${encoded}`,
    `ed25519 a:b ${encoded}`,
    `ed25519 a ${encoded} x`,
    'ed25519 a AAAA',
    'ed25519 a !',
    `ed25519 a ${encoded}\ned25519 b ${encoded}`,
  ])('are not read from %j', (text) => expect(() => parseSigningKey(text)).toThrow(InvalidParamError))

  it('throw nothing but MatrixError', () => {
    const line = fc
      .tuple(fc.constantFrom('ed25519', 'x'), fc.string(), fc.base64String())
      .map((words) => words.join(' '))
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), line), (text) => {
        try {
          parseSigningKey(text)
        } catch (error) {
          expect(error).toBeInstanceOf(MatrixError)
        }
      }),
    )
    expect(() => signingKeyFromSeed('1', new Uint8Array(31))).toThrow(InvalidParamError)
    expect(() => signingKeyFromSeed('', new Uint8Array(32))).toThrow(InvalidParamError)
  })
})
