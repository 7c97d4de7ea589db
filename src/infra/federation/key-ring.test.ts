import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { defaultConfig } from '../../config.ts'
import type { ServerName } from '../../core/ids.ts'
import { signJson } from '../../core/signing/sign-json.ts'
import { type SigningKey, signingKeyFromSeed } from '../../core/signing/signing-key.ts'
import type { Database } from '../../storage/engine/database.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { createPeerNetwork, OUR_KEY, type TestPeer, US } from '../../testing/test-peer.ts'
import { fixedClock } from '../clock.ts'
import { createAskedLanes } from './asked-lanes.ts'
import type { WantedKey } from './key-fetcher.ts'
import { createKeyRing } from './key-ring.ts'

const NOW = 1_700_000_000_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const NETWORK = '192.0.2.1'
const [first, second, forger] = ['first', 'second', 'forger'].map((name, place) =>
  signingKeyFromSeed(name, Buffer.alloc(32, place + 20)),
) as [SigningKey, SigningKey, SigningKey]

let network: ReturnType<typeof createPeerNetwork>
let database: Database
beforeAll(async () => {
  network = createPeerNetwork()
  database = await createTestDatabase()
})
afterAll(async () => {
  await network.dispose()
  await database.close()
})

function setUp(notaries: ServerName[] = [], kept = database) {
  const clock = fixedClock(NOW)
  const lanes = createAskedLanes(defaultConfig().limits.remote_requests)
  const own = { serverName: US, signingKeys: { current: OUR_KEY }, lanes }
  const from = { ...own, database: kept, federation: network.connect(), notaries, clock }
  return { clock, ring: createKeyRing(from), another: () => createKeyRing(from) }
}

type Published = { inUse: SigningKey[]; old?: Record<string, { key: string; expired_ts: number }>; until?: number }

/** A server's own response about its keys, signed with the current ones. */
function keyAnswer(server_name: ServerName, { inUse, old = {}, until = NOW + DAY }: Published): object {
  const verify_keys = Object.fromEntries(inUse.map(({ keyId, publicKey }) => [keyId, { key: publicKey }]))
  const answer = { server_name, valid_until_ts: until, verify_keys, old_verify_keys: old }
  return inUse.reduce<object>((signed, key) => signJson(signed, server_name, key), answer)
}

async function peerWith(answer: (serverName: ServerName) => object): Promise<TestPeer> {
  const peer = await network.startPeer()
  peer.answerWith((response) => response.end(JSON.stringify(answer(peer.serverName))))
  return peer
}

const wanted = ({ serverName }: { serverName: ServerName }, key: SigningKey, more: Partial<WantedKey> = {}) => ({
  serverName,
  keyId: key.keyId,
  validAt: NOW,
  ...more,
})

/** https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys */
test('a server is asked once for all of its keys, which are kept for this process and others', async () => {
  const { ring, another } = setUp()
  const peer = await peerWith((name) => keyAnswer(name, { inUse: [first, second] }))
  const both = [wanted(peer, first), wanted(peer, second), wanted(peer, first)]
  const answers = await Promise.all([ring.find(both), ring.find(both)])
  for (const keys of answers) {
    expect(keys).toEqual([first, second, first].map(({ publicKey }) => Buffer.from(publicKey, 'base64')))
  }
  expect((await another().find(both)).every(Boolean)).toBe(true)
  expect(peer.asked.map(({ uri }) => uri)).toEqual(['/_matrix/key/v2/server'])
})

test('answers that are forged, another server’s, or without a signature are not believed', async () => {
  const { ring } = setUp()
  const forged = (name: ServerName) => {
    const { signatures, ...answer } = keyAnswer(name, { inUse: [first] }) as { signatures: object }
    return signJson(answer, name, { ...forger, keyId: first.keyId })
  }
  const changed = (name: ServerName) => ({ ...keyAnswer(name, { inUse: [first] }), valid_until_ts: NOW + 2 * DAY })
  const another = () => keyAnswer('elsewhere' as ServerName, { inUse: [first] })
  const unsigned = (name: ServerName) => ({ ...keyAnswer(name, { inUse: [first] }), signatures: {} })
  for (const answer of [forged, changed, another, unsigned]) {
    const peer = await peerWith(answer)
    expect(await ring.find([wanted(peer, first)])).toEqual([undefined])
    expect(await ring.find([wanted({ serverName: 'elsewhere' as ServerName }, first)])).toEqual([undefined])
  }
})

test('a key counts until it expires, for a week at most; then the server is asked again', async () => {
  const { ring, clock } = setUp()
  let until = NOW + HOUR
  const peer = await peerWith((name) => keyAnswer(name, { inUse: [first], until }))
  const isKnown = async (validAt: number) => (await ring.find([wanted(peer, first, { validAt })]))[0] !== undefined
  expect(await isKnown(NOW + HOUR)).toBe(true)
  expect(peer.asked).toHaveLength(1)
  clock.advance(2 * HOUR)
  until = NOW + 365 * DAY
  expect(await isKnown(NOW + 2 * HOUR)).toBe(true)
  expect(peer.asked).toHaveLength(2)
  expect(await isKnown(NOW + 7 * DAY)).toBe(true)
  expect(await isKnown(NOW + 8 * DAY)).toBe(false)
})

/** https://spec.matrix.org/v1.19/server-server-api/#publishing-keys */
test('after a server has changed its key the old one counts for what is older, and for no request', async () => {
  const { ring, clock } = setUp()
  let published: Published = { inUse: [first] }
  const peer = await peerWith((name) => keyAnswer(name, published))
  expect(await ring.find([wanted(peer, first, { usedFrom: NETWORK })])).not.toContain(undefined)
  clock.advance(HOUR)
  const old = { [first.keyId]: { key: first.publicKey, expired_ts: NOW + HOUR } }
  published = { inUse: [second], old, until: NOW + 2 * DAY }
  expect(await ring.find([wanted(peer, second, { validAt: NOW + HOUR, usedFrom: NETWORK })])).not.toContain(undefined)
  expect(await ring.find([wanted(peer, first)])).not.toContain(undefined)
  expect(await ring.find([wanted(peer, first, { validAt: NOW + HOUR + 1 })])).toEqual([undefined])
  clock.advance(HOUR)
  expect(await ring.find([wanted(peer, first, { usedFrom: NETWORK })])).toEqual([undefined])
  // If a server stops publishing its old keys, its old events stay verifiable.
  clock.advance(HOUR)
  published = { inUse: [forger], until: NOW + 3 * DAY }
  expect(await ring.find([wanted(peer, forger), wanted(peer, first)])).not.toContain(undefined)
})

test('a server that does not answer is left alone for a while, and asked again', async () => {
  const { ring, clock } = setUp()
  const peer = await network.startPeer()
  const isKnown = async () => (await ring.find([wanted(peer, first)]))[0] !== undefined
  expect([await isKnown(), await isKnown()]).toEqual([false, false])
  expect(peer.asked).toHaveLength(1)
  peer.answerWith((response) => response.end(JSON.stringify(keyAnswer(peer.serverName, { inUse: [first] }))))
  clock.advance(60_000)
  expect(await isKnown()).toBe(true)
})

test('a request with a key that came into use just after the server was asked waits until it is asked again', async () => {
  const { ring, clock } = setUp()
  let published: Published = { inUse: [first] }
  const peer = await peerWith((name) => keyAnswer(name, published))
  expect(await ring.find([wanted(peer, first, { usedFrom: NETWORK })])).not.toContain(undefined)
  published = { inUse: [second] }
  clock.advance(4900)
  const asIfMany = Array.from({ length: 3 }, () => ring.find([wanted(peer, second, { usedFrom: NETWORK })]))
  expect((await Promise.all(asIfMany)).flat()).not.toContain(undefined)
  expect(peer.asked).toHaveLength(2)
})

test('requests with keys that nobody knows do not pile up, and those of one network hold up no other', async () => {
  const { ring } = setUp()
  const silent = await Promise.all(Array.from({ length: 20 }, () => network.startPeer()))
  for (const peer of silent) peer.answerWith(() => {})
  const findFrom = (usedFrom: string, peer: TestPeer) => ring.find([wanted(peer, first, { usedFrom })])
  const flood = Array.from({ length: 200 }, (_, i) => findFrom(NETWORK, silent[i % silent.length]!))
  for (const each of flood) each.catch(() => {})
  const isAsked = () => silent.filter(({ asked }) => asked.length > 0).length
  await pollUntil('some are asked', () => isAsked() >= 16)
  const crowded = { status: 429, errcode: 'M_LIMIT_EXCEEDED', extra: { retry_after_ms: expect.any(Number) } }
  await expect(findFrom(NETWORK, silent[0]!)).rejects.toMatchObject(crowded)
  const peer = await peerWith((name) => keyAnswer(name, { inUse: [first] }))
  expect(await findFrom('192.0.2.2', peer)).not.toContain(undefined)
  // Known keys are available to all askers.
  expect(await findFrom(NETWORK, peer)).not.toContain(undefined)
  expect(isAsked()).toBe(16)
})

test('requests of strangers about servers that do not answer delay nothing else', async () => {
  const { ring } = setUp()
  const silent = await Promise.all(Array.from({ length: 25 }, () => network.startPeer()))
  for (const peer of silent) peer.answerWith(() => {})
  const isAsked = () => silent.filter(({ asked }) => asked.length > 0).length
  const askAs = (id: string, peers: readonly TestPeer[]) =>
    ring
      .onBehalfOf({ kind: 'network', id })
      .answers(new Map(peers.map(({ serverName }) => [serverName, { validUntil: NOW, keyIds: [] }])))
  const endless = askAs(NETWORK, silent)
  await pollUntil('some are asked', () => isAsked() >= 10)
  const honest = () => peerWith((name) => keyAnswer(name, { inUse: [first] }))
  const [ofEvent, ofServer, ofRequest, ofStranger] = await Promise.all([honest(), honest(), honest(), honest()])
  expect(await ring.find([wanted(ofEvent, first)])).not.toContain(undefined)
  const asServer = ring.onBehalfOf({ kind: 'server', id: 'other.test' })
  expect(await asServer.find([wanted(ofServer, first)])).not.toContain(undefined)
  expect(await ring.find([wanted(ofRequest, first, { usedFrom: NETWORK })])).not.toContain(undefined)
  expect((await askAs('192.0.2.9', [ofStranger])).size).toBe(1)
  expect(isAsked()).toBe(10)
  endless.catch(() => {})
})

test('a failed request of a stranger starts no back-off of a server', async () => {
  const { ring } = setUp()
  const peer = await network.startPeer()
  const stranger = ring.onBehalfOf({ kind: 'network', id: NETWORK })
  expect((await stranger.answers(new Map([[peer.serverName, { validUntil: NOW, keyIds: [] }]]))).size).toBe(0)
  peer.answerWith((response) => response.end(JSON.stringify(keyAnswer(peer.serverName, { inUse: [first] }))))
  expect(await ring.find([wanted(peer, first)])).not.toContain(undefined)
})

test('an event that comes while its server’s keys are on their way into the database is not refused', async () => {
  const [storing, stored, askedAgain] = [0, 1, 2].map(() => Promise.withResolvers<void>()) as [Gate, Gate, Gate]
  const writeLazily: Database['writeLazily'] = async (work) => {
    storing.resolve()
    await stored.promise
    return database.writeLazily(work)
  }
  const { ring } = setUp([], { ...database, writeLazily })
  const peer = await peerWith((name) => {
    if (peer.asked.length > 1) askedAgain.resolve()
    return keyAnswer(name, { inUse: [first] })
  })
  const request = ring.find([wanted(peer, first, { usedFrom: NETWORK })])
  await storing.promise
  const event = ring.find([wanted(peer, first)])
  await Promise.race([event, askedAgain.promise])
  stored.resolve()
  expect([...(await request), ...(await event)]).not.toContain(undefined)
})
type Gate = PromiseWithResolvers<void>

/** https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server */
test('the keys of a server that is gone come from a notary, if both have signed them', async () => {
  const notaryKey = forger
  const cases: [string, (theirs: object, notary: ServerName) => object, boolean][] = [
    ['only the server', (theirs) => theirs, false],
    [
      'the notary with another key',
      (theirs, notary) => signJson(theirs, notary, { ...second, keyId: notaryKey.keyId }),
      false,
    ],
    ['only the notary', (theirs, notary) => signJson({ ...theirs, signatures: {} }, notary, notaryKey), false],
    ['both', (theirs, notary) => signJson(theirs, notary, notaryKey), true],
  ]
  const gone = { serverName: 'localhost:1' as ServerName }
  const theirs = keyAnswer(gone.serverName, { inUse: [first] })
  for (const [who, told, isBelieved] of cases) {
    const notary = await network.startPeer()
    notary.answerWith((response, { uri }) => {
      const own = keyAnswer(notary.serverName, { inUse: [notaryKey] })
      const answer = uri === '/_matrix/key/v2/query' ? { server_keys: [told(theirs, notary.serverName)] } : own
      response.end(JSON.stringify(answer))
    })
    const silent = await network.startPeer()
    const { ring } = setUp([silent.serverName, notary.serverName])
    const [key] = await ring.find([wanted(gone, first)])
    expect([who, key !== undefined]).toEqual([who, isBelieved])
    const query = notary.asked.find(({ method }) => method === 'POST')!
    const criteria = { [first.keyId]: { minimum_valid_until_ts: NOW } }
    expect(JSON.parse(query.body)).toEqual({ server_keys: { [gone.serverName]: criteria } })
  }
})
