import { expect, test } from 'vitest'
import { defaultConfig } from '../../config.ts'
import { judgeForwarding } from './forwarding.ts'

const PUBLIC = 'https://matrix.example.org'
const CLIENT = '198.51.100.7'
const CLAIMED = '192.0.2.1'
const GOOD = "Limits count by the clients' addresses"
const AS_ONE = /count all clients as one/

type Seen = { forwarded: boolean; address: string }
const proxy = '127.0.0.1'
const absent: Seen = { forwarded: false, address: proxy }
const set: Seen = { forwarded: true, address: CLIENT }
const passedOn: Seen = { forwarded: true, address: CLAIMED }
const unbelieved: Seen = { forwarded: true, address: proxy }
const direct: Seen = { forwarded: false, address: CLIENT }
const TLS = { certificate: 'a', key: 'b' }

test.each<[string, { url?: string; trusts: boolean; tls?: typeof TLS; seen: [Seen, Seen] }, string | RegExp, RegExp?]>([
  ['a proxy that names the client', { trusts: true, seen: [set, set] }, GOOD],
  ['a proxy that adds to what clients say', { trusts: true, seen: [set, passedOn] }, /claim any/, /rather than add/],
  ['a proxy that takes it out', { trusts: true, seen: [absent, absent] }, AS_ONE, /Have the proxy set it.*addr;\)\.$/],
  ['a proxy that leaves it as it is', { trusts: true, seen: [absent, passedOn] }, AS_ONE, /Have the proxy set it/],
  ['… and is not trusted', { trusts: false, seen: [absent, unbelieved] }, AS_ONE, /trust_forwarded_for: true/],
  ['a proxy that is not trusted', { trusts: false, seen: [unbelieved, unbelieved] }, AS_ONE, /^If only/],
  [
    'no proxy',
    { url: `${PUBLIC}:8008`, trusts: false, tls: TLS, seen: [direct, { ...direct, forwarded: true }] },
    GOOD,
  ],
  [
    'no proxy, but trust',
    { url: 'http://matrix.example.org:8008', trusts: true, seen: [direct, passedOn] },
    /claim any/,
    /trust_forwarded_for: false/,
  ],
])('%s', (_, { url = PUBLIC, trusts, tls, seen: [plain, claiming] }, what, mend) => {
  const listener = { ...defaultConfig().listeners[0]!, trust_forwarded_for: trusts, tls }
  const arrivals = { plain: { ...plain, port: 8008 }, claiming: { ...claiming, port: 8008 } }
  const [finding, ...others] = judgeForwarding(new URL(url), listener, arrivals)
  expect(others).toEqual([])
  expect(finding).toEqual({
    level: mend ? 'warning' : 'good',
    what: typeof what === 'string' ? what : expect.stringMatching(what),
    ...(mend && { mend: expect.stringMatching(mend) }),
  })
})

test('of a port that is forwarded nothing is known', () => {
  const listener = { ...defaultConfig().listeners[0]!, trust_forwarded_for: false, tls: TLS }
  const arrivals = { plain: { ...direct, port: 8008 }, claiming: { ...unbelieved, port: 8008 } }
  expect(judgeForwarding(new URL(PUBLIC), listener, arrivals)).toEqual([])
})

test('a server for its own machine has no proxy', () => {
  const listener = defaultConfig().listeners[0]!
  const arrivals = { plain: { ...direct, port: 8008 }, claiming: { ...passedOn, port: 8008 } }
  expect(judgeForwarding(new URL('http://localhost:8008'), listener, arrivals)).toEqual([])
})
