import { expect, test } from 'vitest'
import { byteSizeText } from './byte-size.ts'

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [20 * 1024 ** 3, '20 GiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%d: %s', (bytes, text) => {
  expect(byteSizeText(bytes)).toBe(text)
})
