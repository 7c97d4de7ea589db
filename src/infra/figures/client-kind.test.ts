import { expect, test } from 'vitest'
import { createClientKinds } from './client-kind.ts'

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
const DESKTOP =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Element/1.11.110 Chrome/138.0.0.0 Electron/37.2.3 Safari/537.36'

test.each([
  [DESKTOP, 'vector://vector', 'Element Desktop'],
  ['Element X/25.10.1 (Google Pixel 8; Android 15; BP1A; Sdk 25.10.8)', '', 'Element X'],
  [
    'Element/1.6.44 (Google Pixel 8; Android 15; Flavour GooglePlay; MatrixAndroidSdk2 1.6.44)',
    '',
    'Element (classic)',
  ],
  [BROWSER, 'https://app.element.io', 'Element Web'],
  [BROWSER, 'https://app.cinny.in', 'Cinny'],
  [BROWSER, 'https://chat.example.org', 'Web browser'],
  ['Dart/3.9 (dart:io)', '', 'FluffyChat'],
  ['matrix-bot-sdk', '', 'Bot'],
  ['mautrix-telegram/0.15.3 mautrix-python/0.20.8', '', 'Bridge'],
  ['python-requests/2.32', '', 'Script'],
  ['Synapse/1.163.0', '', 'Homeserver'],
  ['Hearth', '', 'Homeserver'],
  ['', '', 'Other'],
  ['x'.repeat(20_000), '', 'Other'],
])('%.60s from %s is %s', (agent, origin, kind) => {
  const kindOf = createClientKinds()
  const headers = { 'user-agent': agent, ...(origin && { origin }) }
  expect(kindOf(headers)).toBe(kind)
  expect(kindOf(headers)).toBe(kind)
})

test('any number of user agents leaves a bounded number of kinds', () => {
  const kindOf = createClientKinds()
  const kinds = new Set(Array.from({ length: 3000 }, (_, n) => kindOf({ 'user-agent': `agent ${n}` })))
  expect([...kinds]).toEqual(['Other'])
})
