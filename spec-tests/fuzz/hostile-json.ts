import fc from 'fast-check'
import { HOSTILE_JSON } from '../harness/bad-values.ts'
import type { Draw } from './draw.ts'

/**
 * JSON that `JSON.stringify` cannot write, such as 1e400 and deep nests, by the placeholder that `writeJson` replaces.
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
/** Values whose size makes a request slow; rare, so that others are tested too. */
const LARGE = ['a megabyte', 'a nest of lists', 'a nest of objects', '70 KB', 'many keys', 'many lists']

/** Begins the placeholder of a `RAW` JSON; private use. */
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

/** Texts that have crashed servers. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ODD_TEXTS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 300 }) },
)

/** Insertions into an otherwise valid text. */
const SPOILERS = ['\0', '\0', '\0', '\ud800', 'x'.repeat(300), '\n', ' ', '*', '/', '%00', '\u{10ffff}', '"', ':']

/** Inserts something invalid into a text, so that its beginning stays valid. */
export function spoil(draw: Draw, text: string): string {
  const at = text.length < 2 || draw.happens(0.6) ? text.length : 1 + draw.below(text.length)
  return text.slice(0, at) + draw.pick(SPOILERS) + text.slice(at)
}

const ODD_NUMBERS = [-1, 0, 1.5, -1e-9, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, -(2 ** 63), 1e308, 65_536]

/** JSON values that no key accepts; write them with `writeJson`. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: hostileText },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(...ODD_NUMBERS) },
  { weight: 4, arbitrary: fc.constantFrom<unknown>(null, true, false, [], {}, [null], [[]], { '': null }) },
  { weight: 4, arbitrary: raw(Object.keys(RAW).filter((name) => !LARGE.includes(name))) },
  { weight: 1, arbitrary: raw(LARGE) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }) },
)

const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g')

/** Maximum size of insertions: bodies should be large sometimes, but not always above the limit. */
const MAX_PUT_IN = 4_000_000

/** Returns the JSON text of a value, with placeholders replaced. */
export function writeJson(value: unknown): string {
  let size = 0
  return (JSON.stringify(value) ?? 'null').replace(MARKED, (marked, name: string) => {
    const text = RAW[name] ?? marked
    size += text.length
    return size > MAX_PUT_IN ? 'null' : text
  })
}
