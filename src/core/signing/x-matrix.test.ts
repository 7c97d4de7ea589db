import { expect, test } from 'vitest'
import type { ServerName } from '../ids.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import { formatXMatrix, parseXMatrix, requestText } from './x-matrix.ts'

const origin = 'origin.hs.example.com' as ServerName
const destination = 'destination.hs.example.com' as ServerName
const credentials = { origin, destination, keyId: 'ed25519:key1', signature: 'ABC/+def' }

test.each([
  [
    'the usual form',
    'X-Matrix origin="origin.hs.example.com",destination="destination.hs.example.com",key="ed25519:key1",sig="ABC/+def"',
  ],
  [
    'no quotes, colons and Base64 without them',
    'X-Matrix origin=origin.hs.example.com,destination=destination.hs.example.com,key=ed25519:key1,sig=ABC/+def',
  ],
  [
    'blanks around commas',
    'X-Matrix   origin="origin.hs.example.com" ,\tdestination="destination.hs.example.com", key="ed25519:key1" , sig="ABC/+def"',
  ],
  [
    'any order and case, unknown parameters',
    'x-matrix SIG="ABC/+def",new="a,b",Key="ed25519:key1",destination=destination.hs.example.com,Origin=origin.hs.example.com',
  ],
  [
    'escapes',
    'X-Matrix origin="or\\igin.hs.example.com",destination="destination.hs.example.com",key="ed25519\\:key1",sig="ABC/+def"',
  ],
  [
    'empty elements',
    'X-Matrix ,origin=origin.hs.example.com,,destination=destination.hs.example.com,key=ed25519:key1,sig=ABC/+def,',
  ],
])('reads %s', (_, header) => expect(parseXMatrix(header)).toEqual(credentials))

test('the destination may be missing', () => {
  expect(parseXMatrix('X-Matrix origin=a.example,key="ed25519:a",sig="abc"')).toEqual({
    origin: 'a.example',
    destination: undefined,
    keyId: 'ed25519:a',
    signature: 'abc',
  })
})

test.each([
  ['another scheme', 'Bearer abc'],
  ['no origin', 'X-Matrix key="ed25519:a",sig="abc"'],
  ['no signature', 'X-Matrix origin=a.example,key="ed25519:a"'],
  ['an origin that is no server', 'X-Matrix origin="a b",key="ed25519:a",sig="abc"'],
  ['two origins', 'X-Matrix origin=a.example,origin=b.example,key="ed25519:a",sig="abc"'],
  ['an open quote', 'X-Matrix origin="a.example,key="ed25519:a",sig="abc"'],
  ['no list', 'X-Matrix nonsense'],
])('refuses %s', (_, header) => expect(parseXMatrix(header)).toBeUndefined())

test('reads what it writes', () => expect(parseXMatrix(formatXMatrix(credentials))).toEqual(credentials))

test('canonical JSON is signed', () => {
  const content = { b: [1, { z: null }], a: 'é' }
  const request = { method: 'PUT', uri: '/_matrix/x?a=%22b%22', origin, destination }
  expect(requestText(request)).toBe(canonicalJson(request))
  expect(requestText({ ...request, content: canonicalJson(content) })).toBe(canonicalJson({ ...request, content }))
})
