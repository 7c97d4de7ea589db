import fc from 'fast-check'
import { HOSTILE_JSON } from '../harness/bad-values.ts'
import type { Draw } from './draw.ts'

/**
 * JSON that `JSON.stringify` cannot write, such as 1e400 and deep nests, by a text that stands for it until
 * `writeJson`.
 */
const RAW: Record<string, string> = {
  ...HOSTILE_JSON,
  'the same key twice': '{"a":1,"a":{"b":2},"type":"m.x","type":5}',
  '-0': '-0',
  '1E-7': '1E-7',
  '1.0': '1.0',
  'blanks and line ends': '[ 1 ,\r\n\t"\\u2028\\u2029" ]',
  'a nest that is allowed': `${'['.repeat(90)}${']'.repeat(90)}`,
  'many lists': `[${'[],'.repeat(3000)}[]]`,
  'many keys': `{${Array.from({ length: 2000 }, (_, i) => `"k${i}":${i}`).join()}}`,
  'a megabyte': JSON.stringify('x'.repeat(1_000_000)),
}
/** Those that make a request slow to handle by their size; seldom, so that the others have their turn. */
const LARGE = ['a megabyte', 'a nest of lists', 'a nest of objects', '70 KB', 'many keys', 'many lists']

/** Begins a text that stands for JSON of `RAW`; private use. */
const MARK = '\u{e001}'

const raw = (names: string[]) => fc.constantFrom(...names).map((name) => MARK + name)

const ODD_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'a\udfffb',
  '\u{feff}x',
  '\u202egnp.exe',
  '*',
  '%',
  '_',
  '\\',
  "'; drop table users; --",
  '../../etc/passwd',
  '@',
  '!',
  '$',
  '#',
  ':',
  '@:',
  '!:x',
  '$\0',
  '@a:b:c:d',
  `@${'x'.repeat(254)}:y`,
  `$${'x'.repeat(300)}`,
  '__proto__',
  'constructor',
  'toString',
  'true',
  'null',
  '0',
  '-1',
  '1e3',
  '9007199254740993',
  '99999999999999999999999999',
  'm.room.create',
  'm.room.member',
  '*?*?*?*?*?*?*?*?',
  'a'.repeat(2000),
  'a'.repeat(30_000),
  `*?${'a'.repeat(3000)}b*`,
  `${'*a'.repeat(300)}b`,
  '(a+)+$',
  '[[[*]]]',
  '💥'.repeat(500),
  'e\u0301'.repeat(200),
  '\u{10ffff}',
]

/** Texts that servers have choked on. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ODD_TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 300 }) },
)

/** What is put into a text that is right otherwise. */
const SPOILERS = ['\0', '\0', '\0', '\ud800', 'x'.repeat(300), '\n', ' ', '*', '/', '%00', '\u{10ffff}', '"', ':']

/** A text with something in it that does not belong there, so that its beginning is still right. */
export function spoil(draw: Draw, text: string): string {
  const at = text.length < 2 || draw.happens(0.6) ? text.length : 1 + draw.below(text.length)
  return text.slice(0, at) + draw.pick(SPOILERS) + text.slice(at)
}

const ODD_NUMBERS = [-1, 0, 1.5, -1e-9, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, -(2 ** 63), 1e308, 65_536]

/** JSON values that no member expects; write them with `writeJson`. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: hostileText },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(...ODD_NUMBERS) },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(null, true, false, [], {}, [null], [[]], { '': null }) },
  { weight: 4, arbitrary: raw(Object.keys(RAW).filter((name) => !LARGE.includes(name))) },
  { weight: 1, arbitrary: raw(LARGE) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }) },
)

const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g')

/** More than this is not put in: bodies shall be large now and then, and not larger than the limit every time. */
const MAX_PUT_IN = 4_000_000

/** The JSON text of a value, with what only stands for JSON put in. */
export function writeJson(value: unknown): string {
  let size = 0
  return (JSON.stringify(value) ?? 'null').replace(MARKED, (marked, name: string) => {
    const text = RAW[name] ?? marked
    size += text.length
    return size > MAX_PUT_IN ? 'null' : text
  })
}
