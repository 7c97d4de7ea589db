/** Well-formed JSON texts that no property accepts, or that have crashed servers. */
export const HOSTILE_JSON: Record<string, string> = {
  null: 'null',
  'a nest of lists': '['.repeat(10_000) + ']'.repeat(10_000),
  'a nest of objects': `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
  '70 KB': JSON.stringify('x'.repeat(70_000)),
  'a user id of 300 characters': JSON.stringify(`@${'x'.repeat(300)}:hearth.test`),
  'half a surrogate pair': '"\\ud800"',
  NUL: '"a\\u0000b"',
  '1e400': '1e400',
  '2^53+1': '9007199254740993',
  '-1': '-1',
  'odd keys': '{"__proto__":{"a":1},"constructor":null,"":[],"\\u0000":{"\\ud800":1},"@a:b":{"*":{"body":"\\u0000"}}}',
  'a list of everything': '[null,1e400,"\\u0000","\\udc00",{"type":"\\u0000","content":[]},[[]],{"type":5}]',
}

/** Refused as too deep, before it is known to be JSON. */
export const ENDLESS_NEST = 'an endless nest'

/** Bodies that are not a JSON object, which every operation requires. */
export const UNREADABLE_BODIES: Record<string, string | Buffer> = {
  'half an object': '{"a":',
  'no JSON': 'hello',
  'invalid UTF-8': Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
  'UTF-16': Buffer.from('{}', 'utf16le'),
  'a list': '[]',
  'a text': '"text"',
  'a number': '5',
  null: 'null',
  [ENDLESS_NEST]: '['.repeat(10_000),
}

/** Texts for a path or a query, percent-encoded as sent. */
export const HOSTILE_TEXT: Record<string, string> = {
  'invalid UTF-8': '%ff',
  NUL: '%00',
  'half a surrogate pair': '%ED%A0%80',
  'a slash': 'a%2Fb',
  'a broken percent sign': '%zz',
  '300 characters': 'x'.repeat(300),
  'a user id of 300 characters': `%40${'x'.repeat(300)}%3Ahearth.test`,
  'a number that is none': '1e400',
  '2^53+1': '9007199254740993',
  '-1': '-1',
  'half an object': '%7B%22',
  'a nest': '%5B'.repeat(3000),
  __proto__: '__proto__',
  'an unknown room': '!unknown%3Ahearth.test',
  'an unknown event': '%24unknown',
  dots: '..%2f..%2f',
}

/** Returns values of JSON types other than those given, such as `string`. */
export function valuesOfOtherTypes(types: readonly string[]): unknown[] {
  const accepted = types.includes('number') ? [...types, 'integer'] : types
  const all: [string, unknown][] = [
    ['string', 'text'],
    ['integer', 5],
    ['number', 1.5],
    ['boolean', true],
    ['array', []],
    ['object', {}],
  ]
  return types.length === 0 ? [] : all.filter(([type]) => !accepted.includes(type)).map(([, value]) => value)
}
