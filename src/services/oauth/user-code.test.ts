import { expect, test } from 'vitest'
import { systemRandom } from '../../infra/random.ts'
import { newUserCode, parseUserCode, showUserCode } from './user-code.ts'

test('codes are found again however a user types them', () => {
  for (let times = 0; times < 50; times++) {
    const code = newUserCode({ random: systemRandom })
    const shown = showUserCode(code)
    expect(shown).toMatch(/^[B-Z]{4}-[B-Z]{4}$/)
    for (const typed of [shown, code, shown.toLowerCase(), ` ${shown.replace('-', ' – ')}\t`, [...code].join('.')])
      expect(parseUserCode(typed)).toBe(code)
  }
})

test('fullwidth letters of East Asian keyboards are understood', () => {
  expect(parseUserCode('ＢＣＤＦ－ｇｈｊｋ')).toBe('BCDFGHJK')
})

test('other texts are no codes', () => {
  for (const typed of ['', 'BCDFGHJ', 'BCDFGHJKL', 'AEIOUAEI', 'BCDFGHJ1', 'БВГДЖЗКЛ', 'x'.repeat(10_000)])
    expect(parseUserCode(typed)).toBeUndefined()
})

test('every letter is as likely as the others', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  let at = 0
  const next = (count: number) => {
    at += count
    return bytes.subarray(at - count, at)
  }
  const random = { bytes: next, token: () => '' }
  const letters = Array.from({ length: 30 }, () => newUserCode({ random })).join('')
  const counts = new Map<string, number>()
  for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  expect(counts.size).toBe(20)
  expect(new Set(counts.values())).toEqual(new Set([12]))
})
