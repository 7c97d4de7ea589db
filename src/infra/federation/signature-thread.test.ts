import { generateKeyPairSync, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { type SignatureCheck, verifySignatures } from './signature-thread.ts'

const pairs = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')] as const

function check(place: number): SignatureCheck {
  const { publicKey, privateKey } = pairs[place % 2]!
  const data = Buffer.from(`event ${place} ${'é'.repeat(place)}`)
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')
  return { publicKey: raw, data, signature: sign(null, data, privateKey) }
}

function isForged(place: number): boolean {
  return place % 3 === 0
}

function checks(count: number): SignatureCheck[] {
  return Array.from({ length: count }, (_, place) =>
    isForged(place) ? { ...check(place), publicKey: check(place + 1).publicKey } : check(place),
  )
}

test.each([0, 1, 50, 60, 4, 5])('each of %i checks has its own verdict', async (count) => {
  const verdicts = await verifySignatures(checks(count))
  expect(verdicts).toEqual(Array.from({ length: count }, (_, place) => !isForged(place)))
})

test('concurrent callers get their own results, and malformed input is no signature', async () => {
  const malformed = checks(10).map((each, place) =>
    place === 4
      ? { ...each, signature: Buffer.alloc(63) }
      : place === 5
        ? { ...each, publicKey: Buffer.alloc(0) }
        : each,
  )
  const [many, some, more] = await Promise.all([
    verifySignatures(checks(80)),
    verifySignatures(malformed),
    verifySignatures(checks(7).reverse()),
  ])
  expect(many).toEqual(Array.from({ length: 80 }, (_, place) => !isForged(place)))
  expect(some).toEqual(malformed.map((_, place) => !isForged(place) && place !== 4 && place !== 5))
  expect(more).toEqual([false, true, true, false, true, true, false])
})

test('a batch that is too large for one message is split', async () => {
  const large = checks(9).map((each, place) => {
    const data = Buffer.alloc(400_000, place)
    const signature = isForged(place) ? each.signature : sign(null, data, pairs[place % 2]!.privateKey)
    return { ...check(place), data, signature }
  })
  expect(await verifySignatures(large)).toEqual(large.map((_, place) => !isForged(place)))
})
