import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, type Dispatcher, request } from 'undici'
import { expect } from 'vitest'
import type { ServerName } from '../../../testing/matrix/pdu.ts'
import { signedHeader, signingKeyFromSeed, signJson } from '../../../testing/matrix/signing.ts'
import type { Attack, HostileWorld } from '../hostile-world.ts'
import { answerWith, type LyingServer, signedRequest } from '../lying-server.ts'
import { expectRefused, malloryIn, name, newMallory } from './mallory.ts'

/** Manipulated requests, and servers that lie about their keys. */
const PROFILE = (world: HostileWorld) => `v1/query/profile?user_id=${name(world.alice.userId)}`
const HOUR_MS = 3_600_000

type Keys = {
  verify_keys: Record<string, unknown>
  valid_until_ts: unknown
  server_name: string
  old_verify_keys: object
}

/** Publishes the server's keys as `change` alters them, signed by its key. */
export function publishKeys(peer: LyingServer, change: (keys: Keys) => object): void {
  peer.lie('keys', () => {
    const { keyId, publicKey } = peer.signer
    const honest: Keys = {
      server_name: peer.serverName,
      valid_until_ts: Date.now() + HOUR_MS,
      verify_keys: { [keyId]: { key: publicKey } },
      old_verify_keys: {},
    }
    return signJson(change(honest) as never, peer.serverName, peer.signer)
  })
}

type Unsigned = { method: string; path: string; body?: object }

/** Sends a request with these headers and no other signature; the path is below `/_matrix/federation/`. */
async function withHeaders(
  world: HostileWorld,
  { method, path, body }: Unsigned,
  ...authorization: string[]
): Promise<{ status: number; body: Record<string, unknown> }> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(world.federation.authority.certificate) } })
  try {
    const answer = await request(`https://localhost:${world.home.federationPort}/_matrix/federation/${path}`, {
      dispatcher,
      method: method as Dispatcher.HttpMethod,
      headers: authorization.flatMap((header) => ['authorization', header]),
      ...(body && { body: JSON.stringify(body) }),
    })
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> }
  } finally {
    await dispatcher.destroy()
  }
}

function headerFor(world: HostileWorld, peer: LyingServer, { method, path, body }: Unsigned): string {
  const signed = { method, path: `/_matrix/federation/${path}`, ...(body && { body: JSON.stringify(body) }) }
  return signedHeader(peer.signer, world.home.serverName, signed)
}

/** Returns a row about a server that publishes such keys, and makes a request. */
function keyLie(what: string, expected: 'refused' | 'taken', change: (keys: Keys) => object): Attack {
  return {
    name: `keys: ${what}`,
    async attempt(world) {
      const mallory = await newMallory(world)
      publishKeys(mallory.peer, change)
      const answer = await mallory.ask('GET', PROFILE(world))
      if (expected === 'refused') expectRefused(answer, 401, 'M_UNAUTHORIZED')
      else expect(answer.status).toBe(200)
    },
  }
}

/** Returns a row about a server whose key response is not a list of keys. */
function keyAnswer(what: string, answer: Parameters<LyingServer['lie']>[1]): Attack {
  return {
    name: `keys: ${what}`,
    async attempt(world) {
      const mallory = await newMallory(world)
      mallory.peer.lie('keys', answer)
      expectRefused(await mallory.ask('GET', PROFILE(world)), 401, 'M_UNAUTHORIZED')
    },
  }
}

export const REQUEST_ATTACKS: Attack[] = [
  keyLie('of another server', 'refused', (keys) => ({ ...keys, server_name: 'elsewhere.test' })),
  keyLie('expired long ago', 'refused', (keys) => ({ ...keys, valid_until_ts: 1 })),
  keyLie('valid until before the epoch', 'refused', (keys) => ({ ...keys, valid_until_ts: -HOUR_MS })),
  keyLie('valid until a fraction', 'refused', (keys) => ({ ...keys, valid_until_ts: 1.5 })),
  keyLie('of none', 'refused', (keys) => ({ ...keys, verify_keys: {} })),
  keyLie('only among the old ones', 'refused', (keys) => ({
    ...keys,
    verify_keys: {},
    old_verify_keys: Object.fromEntries(
      Object.entries(keys.verify_keys).map(([id, key]) => [id, { ...(key as object), expired_ts: Date.now() - 1 }]),
    ),
  })),
  keyLie('valid until the year 9999', 'taken', (keys) => ({ ...keys, valid_until_ts: Date.UTC(9999, 0) })),
  ...Object.entries({
    'with NUL': 'ed25519:\0',
    'of 3,000 characters': `ed25519:${'x'.repeat(3000)}`,
    'without a name': 'ed25519:',
  }).map(([what, id]) =>
    keyLie(`beside one with an id ${what}`, 'refused', (keys) => ({
      ...keys,
      verify_keys: { ...keys.verify_keys, [id]: { key: 'A'.repeat(43) } },
    })),
  ),
  keyLie('beside ones of other algorithms', 'taken', (keys) => ({
    ...keys,
    verify_keys: { ...keys.verify_keys, 'rsa:1': { key: 'x' }, __proto__x: 5, constructor: null },
  })),
  keyLie('beside five hundred others', 'refused', (keys) => ({
    ...keys,
    verify_keys: {
      ...keys.verify_keys,
      ...Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`ed25519:k${i}`, { key: 'A'.repeat(43) }])),
    },
  })),
  keyLie('beside five hundred old ones', 'refused', (keys) => ({
    ...keys,
    old_verify_keys: Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`ed25519:k${i}`, { key: 'A'.repeat(43), expired_ts: 1 }]),
    ),
  })),
  keyAnswer('signed by another key', () => {
    const other = signingKeyFromSeed('peer', randomBytes(32))
    const keys = { server_name: 'x', valid_until_ts: Date.now() + HOUR_MS, verify_keys: {}, old_verify_keys: {} }
    return signJson(keys, 'x' as ServerName, other)
  }),
  keyAnswer('behind a redirect to this homeserver itself', (_, response) => {
    response.setHeader('location', '/_matrix/key/v2/server')
    return answerWith(response, 302, {})
  }),
  keyAnswer('of a megabyte', () => ({ verify_keys: { a: 'x'.repeat(1024 * 1024) } })),
  {
    name: 'a request in the name of the homeserver itself',
    async attempt(world) {
      const origin = world.home.serverName as ServerName
      const path = `/_matrix/federation/${PROFILE(world)}`
      const answer = await signedRequest(world.federation, world.home, { origin, path })
      expectRefused(answer, 401, 'M_UNAUTHORIZED')
    },
  },
  {
    name: 'a key of order one, with a signature that fits everything',
    async attempt(world) {
      const mallory = await newMallory(world)
      // The neutral element: with it, a signature of zeros is valid for every message.
      const neutral = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])
      publishKeys(mallory.peer, (keys) => ({
        ...keys,
        verify_keys: { ...keys.verify_keys, 'ed25519:one': { key: neutral.toString('base64').replace('=', '') } },
      }))
      expect((await mallory.ask('GET', PROFILE(world))).status).toBe(200)
      const signature = Buffer.concat([neutral, Buffer.alloc(32)])
        .toString('base64')
        .replace(/=+$/, '')
      const header = `X-Matrix origin="${mallory.peer.serverName}",destination="${world.home.serverName}",key="ed25519:one",sig="${signature}"`
      const answer = await withHeaders(world, { method: 'GET', path: PROFILE(world) }, header)
      expectRefused(answer, 401, 'M_UNAUTHORIZED')
    },
  },
  ...(['another path', 'another method', 'another body', 'another query'] as const).map(
    (what): Attack => ({
      name: `a signature of a request with ${what}`,
      async attempt(world) {
        const { peer } = await malloryIn(world)
        const sent = { method: 'PUT', path: 'v1/send/replayed', body: { origin: peer.serverName, pdus: [], edus: [] } }
        const change = {
          'another path': { path: 'v1/send/another' },
          'another method': { method: 'POST' },
          'another body': { body: { ...sent.body, edus: [{}] } },
          'another query': { path: `${sent.path}?x=y` },
        }[what]
        const answer = await withHeaders(world, sent, headerFor(world, peer, { ...sent, ...change }))
        expectRefused(answer, 401, 'M_UNAUTHORIZED')
      },
    }),
  ),
  {
    name: 'signatures of two servers on one request',
    async attempt(world) {
      const [one, other] = [await malloryIn(world), await newMallory(world)]
      const sent = { method: 'GET', path: PROFILE(world) }
      const headers = [one, other].map(({ peer }) => headerFor(world, peer, sent))
      expectRefused(await withHeaders(world, sent, ...headers), 401, 'M_UNAUTHORIZED')
    },
  },
  ...[
    'X-Matrix',
    'X-Matrix ,,,=,"',
    `X-Matrix origin="x",key="ed25519:${'k'.repeat(4000)}",sig="${'A'.repeat(4000)}"`,
    'X-Matrix origin="localhost:1\\u0000",key="ed25519:a",sig="AAAA"',
    'X-Matrix origin="[::1]:1/path?x#y",key="ed25519:a",sig="AAAA"',
    'Bearer syt_x_y_z',
  ].map(
    (header): Attack => ({
      name: `a header that authorises nobody: ${header.slice(0, 40)}`,
      attempt: async (world) =>
        expectRefused(await withHeaders(world, { method: 'GET', path: PROFILE(world) }, header), 401, 'M_UNAUTHORIZED'),
    }),
  ),
]
