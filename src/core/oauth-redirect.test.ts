import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ClientOrigin, matchesRedirect, mayRegisterRedirect, parseClientUri } from './oauth-redirect.ts'

const origin = (uri: string, isNative: boolean, allowsLocalhost = false): ClientOrigin => ({
  clientUri: parseClientUri(uri, { allowsLocalhost })!,
  isNative,
  allowsLocalhost,
})

/** Pieces that a parser of URIs could misunderstand. */
const PIECES = [
  ...[
    'https://',
    'http://',
    'HTTPS:',
    '//',
    '/',
    '\\',
    ':',
    '@',
    '#',
    '?',
    '.',
    '%2e',
    '%2F',
    '\t',
    '\n',
    ' ',
    ';',
    '[::1]',
  ],
  ...[
    'app.example.org',
    'example.org',
    'evil.example',
    'localhost',
    '127.0.0.1',
    '443',
    'a',
    'ä',
    '\u3002',
    'javascript',
  ],
]
const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((pieces) => pieces.join(''))

/** By other means than a parser: the host stands directly after the scheme, and nothing follows that could move it. */
const ON_THE_HOST = /^https:\/\/([a-z0-9-]+\.)*app\.example\.org\.?(:\d*)?([/?][\x21-\x7e]*)?$/i
const ON_THIS_MACHINE = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d*)?([/?][\x21-\x7e]*)?$/i

test('whatever a web client may register is on its host', () => {
  const web = origin('https://app.example.org/', false)
  const native = origin('https://app.example.org/', true)
  fc.assert(
    fc.property(text, (uri) => {
      if (mayRegisterRedirect(uri, web)) expect(uri).toMatch(ON_THE_HOST)
      if (mayRegisterRedirect(uri, native) && /^https?:/i.test(uri))
        expect(ON_THE_HOST.test(uri) || ON_THIS_MACHINE.test(uri)).toBe(true)
    }),
    { numRuns: 20_000 },
  )
  expect(mayRegisterRedirect('https://sub.app.example.org:8443/cb?a=b', web)).toBe(true)
  for (const host of ['127.0.0.1.', '2130706433', '127.1', '0x7f.0.0.1'])
    expect(mayRegisterRedirect(`http://${host}/`, native)).toBe(false)
})

test('a redirect differs from the registered one at most by its port, and that only on this machine', () => {
  fc.assert(
    fc.property(text, text, (requested, registered) => {
      if (!matchesRedirect(requested, registered) || requested === registered) return
      const withoutPort = (uri: string) => new URL(uri.replace(/:\d*(?=[/?]|$)/, '')).href
      expect(requested).toMatch(ON_THIS_MACHINE)
      expect(withoutPort(requested)).toBe(withoutPort(registered))
    }),
    { numRuns: 20_000 },
  )
  expect(matchesRedirect('http://127.0.0.1:49152/cb', 'http://127.0.0.1/cb')).toBe(true)
})

test('clients on this machine may register only for development', () => {
  expect(parseClientUri('http://localhost:8080', { allowsLocalhost: false })).toBeUndefined()
  const local = origin('http://localhost:8080', false, true)
  expect(mayRegisterRedirect('http://localhost:8080/callback', local)).toBe(true)
  expect(mayRegisterRedirect('http://example.org/callback', local)).toBe(false)
})
