import { expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { judgeForwarding } from './forwarding.ts'

const PUBLIC = 'https://matrix.example.org'
const CLIENT = '198.51.100.7'
const CLAIMED = '192.0.2.1'
const GOOD = "Rate limits use the clients' addresses"
const AS_ONE = /count all clients as one/

type Seen = { forwarded: number; address: string }
const proxy = '127.0.0.1'
const absent: Seen = { forwarded: 0, address: proxy }
const set: Seen = { forwarded: 1, address: CLIENT }
const appended: Seen = { forwarded: 2, address: CLIENT }
const passedOn: Seen = { forwarded: 1, address: CLAIMED }
const unbelieved: Seen = { forwarded: 1, address: proxy }
const direct: Seen = { forwarded: 0, address: CLIENT }
const ofInnerProxy: Seen = { forwarded: 2, address: proxy }
const TLS = { certificate: 'a', key: 'b' }

test.each<[string, { url?: string; trusted: number; tls?: typeof TLS; seen: [Seen, Seen] }, string | RegExp, RegExp?]>([
  ['a proxy that names the client', { trusted: 1, seen: [set, set] }, GOOD],
  ['a proxy that appends to what clients say', { trusted: 1, seen: [set, appended] }, GOOD],
  ['a proxy that passes on what clients say', { trusted: 1, seen: [set, passedOn] }, /claim any/, /rather than pass/],
  [
    'one proxy where two are believed',
    { trusted: 2, seen: [set, { forwarded: 2, address: CLAIMED }] },
    /claim any/,
    /^Set trusted_proxies: 1 /,
  ],
  [
    'two proxies where one is believed',
    { trusted: 1, seen: [ofInnerProxy, { ...ofInnerProxy, forwarded: 3 }] },
    /by the address of a proxy/,
    /^Set trusted_proxies: 2 /,
  ],
  ['two proxies', { trusted: 2, seen: [appended, { ...appended, forwarded: 3 }] }, GOOD],
  ['a proxy that takes it out', { trusted: 1, seen: [absent, absent] }, AS_ONE, /Have the proxy set it.*_for;\)\.$/],
  ['a proxy that leaves it as it is', { trusted: 1, seen: [absent, passedOn] }, AS_ONE, /Have the proxy set it/],
  ['… and is not trusted', { trusted: 0, seen: [absent, unbelieved] }, AS_ONE, /trust_forwarded_for: true/],
  ['a proxy that is not trusted', { trusted: 0, seen: [unbelieved, unbelieved] }, AS_ONE, /^If only/],
  [
    'two proxies that are not trusted',
    { trusted: 0, seen: [ofInnerProxy, ofInnerProxy] },
    AS_ONE,
    /trust_forwarded_for: true and trusted_proxies: 2 there/,
  ],
  ['no proxy', { url: `${PUBLIC}:8008`, trusted: 0, tls: TLS, seen: [direct, { ...direct, forwarded: 1 }] }, GOOD],
  [
    'no proxy, but trust',
    { url: 'http://matrix.example.org:8008', trusted: 1, seen: [direct, passedOn] },
    /claim any/,
    /trust_forwarded_for: false/,
  ],
])('%s', (_, { url = PUBLIC, trusted, tls, seen: [plain, claiming] }, what, fix) => {
  const listener = { ...defaultConfig().listeners[0]!, trusted_proxies: trusted, tls }
  const arrivals = { plain: { ...plain, port: 8008 }, claiming: { ...claiming, port: 8008 } }
  const [finding, ...others] = judgeForwarding(new URL(url), listener, arrivals)
  expect(others).toEqual([])
  expect(finding).toEqual({
    level: fix ? 'warning' : 'good',
    what: typeof what === 'string' ? what : expect.stringMatching(what),
    ...(fix && { fix: expect.stringMatching(fix) }),
  })
})

test('of a port that is forwarded nothing is known', () => {
  const listener = { ...defaultConfig().listeners[0]!, trusted_proxies: 0, tls: TLS }
  const arrivals = { plain: { ...direct, port: 8008 }, claiming: { ...unbelieved, port: 8008 } }
  expect(judgeForwarding(new URL(PUBLIC), listener, arrivals)).toEqual([])
})

test('a server for its own machine has no proxy', () => {
  const listener = defaultConfig().listeners[0]!
  const arrivals = { plain: { ...direct, port: 8008 }, claiming: { ...passedOn, port: 8008 } }
  expect(judgeForwarding(new URL('http://localhost:8008'), listener, arrivals)).toEqual([])
})
