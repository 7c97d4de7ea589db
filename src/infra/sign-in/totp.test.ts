import { expect, test } from 'vitest'
import { totpCode } from '../../../testing/totp-code.ts'
import { findTotpStep, toTotpSecret, totpAddress } from './totp.ts'

const secret = await toTotpSecret(new Uint8Array(Buffer.from('12345678901234567890')))

test.each([
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_234_567_890, '005924'],
  [20_000_000_000, '353130'],
])('the test vector of RFC 6238 at %i s', async (seconds, code) => {
  expect(await findTotpStep(secret, code, seconds * 1000)).toBe(Math.floor(seconds / 30))
  expect(totpCode(secret, seconds * 1000)).toBe(code)
})

test('a code is good for its step and the ones beside it', async () => {
  const step = 50_000_000
  const code = totpCode(secret, step * 30_000)
  const found = async (at: number) => findTotpStep(secret, code, at * 30_000)
  expect(await Promise.all([step - 2, step - 1, step, step + 1, step + 2].map(found))).toEqual([
    undefined,
    step,
    step,
    step,
    undefined,
  ])
})

test.each(['', '12345', '1234567', 'abcdef', '-12345', '１２３４５６'])('%j is no code', async (text) => {
  expect(await findTotpStep(secret, text, 0)).toBeUndefined()
})

test('the address for a QR code names server and account', async () => {
  const address = new URL(await totpAddress(secret, { issuer: 'example.org', label: '@anna:example.org' }))
  expect(address.protocol).toBe('otpauth:')
  expect(decodeURIComponent(address.pathname)).toMatch(/example\.org:@anna:example\.org$/)
  expect(Object.fromEntries(address.searchParams)).toMatchObject({ secret, issuer: 'example.org', digits: '6' })
})
