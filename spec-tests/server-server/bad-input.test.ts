import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toEvent } from '../../testing/matrix/events.ts'
import type { Pdu } from '../../testing/matrix/pdu.ts'
import { ROOM_VERSIONS } from '../../testing/matrix/room-versions.ts'
import { loadOperations, type Operation } from '../../testing/openapi/operations.ts'
import { OLD_SERVER_OPERATIONS } from '../../testing/openapi/unstable-operations.ts'
import { pollUntil } from '../../testing/poll-until.ts'
import {
  type BadRequest,
  fillPath,
  type PathValues,
  requestsToRefuse,
  requestsToSurvive,
  sampleBody,
} from '../harness/bad-requests.ts'
import { ENDLESS_NEST, HOSTILE_JSON, UNREADABLE_BODIES } from '../harness/bad-values.ts'
import { checkAnswer } from '../harness/check-answer.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { bodiesOf, type ClientEvent, createRoom, historyOf, roomPath, v3 } from '../harness/rooms.ts'
import type { Forgery } from '../harness/signed-request.ts'
import { type SigningPeer, startSigningPeer } from '../harness/signing-peer.ts'

/**
 * Every federation endpoint must refuse malformed requests, signed and unsigned, with client errors, without any
 * change.
 */
const VERSION = '11'

let federation: Awaited<ReturnType<typeof startFederation>>
let home: TestHearth
let alice: TestUser
let peer: SigningPeer
let roomId: string
/** A message of the peer that would be accepted. */
let proper: Pdu
let values: PathValues
let before: Snapshot

beforeAll(async () => {
  federation = await startFederation()
  ;[home, peer] = await Promise.all([federation.hearth(), startSigningPeer(federation)])
  alice = await registerUser(home.url)
  roomId = await createRoom(alice, { room_version: VERSION })
  const eventId = await sendText(alice, roomId, 'hello')
  proper = await peer.join(home, roomId)
  await alice.put(`${v3}/presence/${encodeURIComponent(alice.userId)}/status`, { presence: 'offline' })
  values = {
    roomId,
    eventId,
    userId: alice.userId,
    txnId: 'bad-input',
    serverName: home.serverName,
    queryType: 'directory',
    mediaId: 'unknown',
  }
  before = await snapshot()
})
afterAll(() => federation.dispose())

type Snapshot = { history: ClientEvent[]; [what: string]: unknown }

/** Returns everything visible of the room, and of Alice. */
async function snapshot(): Promise<Snapshot> {
  const { next_batch: _, presence: __, rooms, ...sync } = await alice.get(`${v3}/sync?timeout=0`)
  const { ephemeral, account_data, summary } = rooms.join[roomId]
  const { devices } = await alice.get(`${v3}/devices`)
  const everything = {
    sync,
    rooms: { ...rooms, join: Object.keys(rooms.join) },
    room: { ephemeral, account_data, summary },
    state: await alice.get(roomPath(roomId, 'state')),
    devices: devices.map(({ device_id }: { device_id: string }) => device_id),
    history: await historyOf(alice, roomId),
  }
  return JSON.parse(JSON.stringify(everything, (key, inner) => (key === 'age' ? undefined : inner)))
}

/** Returns the fault of a response; undefined: none. */
async function faultOf(
  request: BadRequest,
  isRight: (status: number, errcode: string | undefined) => boolean,
  forgery?: Forgery,
): Promise<string | undefined> {
  const { status, text } = await peer.send(home, request, forgery)
  const said = `${request.method} ${request.path.slice(0, 200)} with ${request.what}: ${status} ${text.slice(0, 300)}`
  if (status >= 500 && !(status === 502 && /^\??serverName/.test(request.what))) return said
  if (status < 400) return isRight(status, undefined) ? undefined : said
  try {
    const body = JSON.parse(text)
    checkAnswer(request, { status, body })
    return isRight(status, body.errcode) ? undefined : said
  } catch (error) {
    return `${said}: ${error}`
  }
}

async function faultsOf(requests: readonly BadRequest[], isRight: Parameters<typeof faultOf>[1]): Promise<string[]> {
  const faults: string[] = []
  const waiting = [...requests]
  async function work(): Promise<void> {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const fault = await faultOf(next, isRight)
      if (fault) faults.push(fault)
    }
  }
  await Promise.all([work(), work(), work(), work()])
  return faults
}

const NOT_JSON = Object.keys(UNREADABLE_BODIES).filter((what) => {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(UNREADABLE_BODIES[what] as string)))
    return false
  } catch {
    return true
  }
})

const operations = [...loadOperations('server-server'), ...OLD_SERVER_OPERATIONS]
  // Hearth uses policy servers but is none; the well-known file is not served on this port.
  .filter(({ path }) => path !== '/_matrix/policy/v1/sign' && !path.startsWith('/.well-known/'))
  .map((operation) => ({ name: `${operation.method} ${operation.path}`, operation }))

test('there are operations to try', () => {
  expect(operations.length).toBeGreaterThan(30)
})

describe.each(operations)('$name', ({ operation }) => {
  const requestTo = (what: string): BadRequest => ({
    what,
    method: operation.method,
    path: fillPath(operation, values),
    ...(operation.body && { body: JSON.stringify(sampleBody(operation)) }),
  })

  test.skipIf(operation.auth !== 'server')('unsigned, signed with a wrong key, and for another server', async () => {
    const refused = (status: number, errcode?: string) => status === 401 && errcode === 'M_UNAUTHORIZED'
    for (const forgery of ['unsigned', 'with another key', 'for another server'] as const)
      expect(await faultOf(requestTo(forgery), refused, forgery)).toBeUndefined()
  })

  test('by another method', async () => {
    const refused = (status: number, errcode?: string) => status === 405 && errcode === 'M_UNRECOGNIZED'
    expect(await faultsOf([{ ...requestTo('PATCH'), method: 'PATCH' }], refused)).toEqual([])
  })

  test('with a body that it cannot mean', async () => {
    const requests = requestsToRefuse(operation, values)
    const unreadable = requests.filter(({ what }) => NOT_JSON.includes(what))
    // A body that is not JSON cannot be signed either.
    const refusedAs = (expected: string) => (status: number, errcode?: string) =>
      (status === 400 && errcode === expected) || (status === 401 && operation.auth === 'server')
    const isNest = ({ what }: { what: string }) => what === ENDLESS_NEST
    const texts = unreadable.filter((request) => !isNest(request))
    expect(await faultsOf(texts, refusedAs('M_NOT_JSON'))).toEqual([])
    expect(await faultsOf(unreadable.filter(isNest), refusedAs('M_BAD_JSON'))).toEqual([])
    const others = requests.filter(({ what }) => !NOT_JSON.includes(what) && !isUnread(operation, what))
    expect(await faultsOf(others, (status) => status >= 400)).toEqual([])
  })

  test('with odd values', async () => {
    expect(await faultsOf(requestsToSurvive(operation, values), () => true)).toEqual([])
  })
})

/** A transaction's sender follows from its signature; one without events has none. */
function isUnread({ path }: Operation, what: string): boolean {
  return path.includes('/send/') && /^((no )?(origin|origin_server_ts)\b|no pdus$)/.test(what)
}

let transactions = 0

function transact(body: object | string): Promise<{ status: number; text: string }> {
  const path = `/_matrix/federation/v1/send/bad-${++transactions}`
  return peer.send(home, { method: 'PUT', path, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

const WRONG_TYPES: unknown[] = [null, 5, 1.5, -1, 2 ** 53 + 2, true, '', 'text', [], [5], [[[]]], {}, { a: [] }]
const deep = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))

/** Returns invalid events by error; each is signed as well as possible. */
function badEvents(): [string, unknown][] {
  const fields = Object.keys(proper) as (keyof Pdu)[]
  const without = fields
    .filter((field) => field !== 'unsigned')
    .map((field): [string, unknown] => {
      const { [field]: _, ...rest } = proper as unknown as Record<string, unknown>
      return [`no ${field}`, rest]
    })
  const wrong = fields
    .filter((field) => field !== 'unsigned')
    .flatMap((field) =>
      WRONG_TYPES.filter((value) => !isOfType(field, value)).map((value): [string, unknown] => [
        `${field}: ${JSON.stringify(value)}`,
        { ...proper, [field]: value },
      ]),
    )
  const contents = Object.entries({
    'a fraction': 1.5,
    '2^53+2': 2 ** 53 + 2,
    'half a surrogate pair': '\ud800',
    'a nest of 600 lists': deep(600),
    '70 KB': 'x'.repeat(70_000),
  }).map(([what, value]): [string, unknown] => [
    `content: ${what}`,
    { ...proper, content: { ...proper.content, any: value } },
  ])
  const others: [string, unknown][] = [
    ['a type of 300 characters', { ...proper, type: 'x'.repeat(300) }],
    ['a state key of 300 characters', { ...proper, state_key: 'x'.repeat(300) }],
    ['a sender of another server', { ...proper, sender: `@x:elsewhere.test` }],
    ['a sender here', { ...proper, sender: alice.userId }],
    ['a sender who is not in the room', { ...proper, sender: proper.sender.replace('@peer', '@other') }],
    ['a sender of 300 characters', { ...proper, sender: `@${'x'.repeat(300)}:${peer.serverName}` }],
    ['another room', { ...proper, room_id: '!unknown:hearth.test' }],
    ['a room id of 300 characters', { ...proper, room_id: `!${'x'.repeat(300)}:hearth.test` }],
    ['21 predecessors', { ...proper, prev_events: Array.from({ length: 21 }, (_, i) => `$${i}`) }],
    ['11 auth events', { ...proper, auth_events: Array.from({ length: 11 }, (_, i) => `$${i}`) }],
    ['no auth events', { ...proper, auth_events: [] }],
    ['auth events twice', { ...proper, auth_events: [...proper.auth_events, ...proper.auth_events] }],
    ['a second create event', { ...proper, type: 'm.room.create', state_key: '', prev_events: [], auth_events: [] }],
    ['more power than the sender has', { ...proper, type: 'm.room.power_levels', state_key: '', content: {} }],
    ['a membership of somebody else', { ...proper, type: 'm.room.member', state_key: alice.userId }],
  ]
  const signed = [...without, ...wrong, ...contents, ...others].filter(
    ([what]) => !/^(no )?(hashes|signatures)/.test(what),
  )
  const unsigned = [...without, ...wrong].filter(([what]) => /^(no )?(hashes|signatures)/.test(what))
  return [...signed.map(([what, event]): [string, unknown] => [what, peer.sign(event as object, VERSION)]), ...unsigned]
}

/** Returns whether a value has the right type, and so is not wrong by itself. */
function isOfType(field: string, value: unknown): boolean {
  if (field === 'depth') return Number.isSafeInteger(value) && (value as number) >= 0
  if (field === 'origin_server_ts') return Number.isSafeInteger(value)
  if (field === 'type') return typeof value === 'string'
  // Any object is valid content, and an event without known predecessors waits for them.
  if (field === 'content') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return field === 'prev_events' && Array.isArray(value) && value.length === 0
}

describe('events that no server may take', () => {
  test('are refused one by one, and nothing else with them', async () => {
    for (const [what, event] of badEvents()) {
      const { status, text } = await transact({ origin: peer.serverName, origin_server_ts: 1, pdus: [event], edus: [] })
      expect([what, status < 500, text.slice(0, 200)]).toEqual([what, true, text.slice(0, 200)])
      if (status === 200) expect(Object.keys(JSON.parse(text))).toEqual(['pdus'])
      else expect([what, status, JSON.parse(text).errcode]).toEqual([what, 400, 'M_BAD_JSON'])
    }
    for (const event of WRONG_TYPES) {
      const { status } = await transact({ origin: peer.serverName, origin_server_ts: 1, pdus: [event], edus: [] })
      expect([event, status]).toEqual([event, 200])
    }
  })

  test.each(Object.keys(HOSTILE_JSON))('%s as an event, an EDU, or in one', async (what) => {
    const json = HOSTILE_JSON[what]!
    const content = JSON.stringify({ ...proper, content: 'HERE' }).replace('"HERE"', json)
    for (const pdu of [json, content]) {
      const { status } = await transact(`{"origin":"${peer.serverName}","origin_server_ts":1,"pdus":[${pdu}]}`)
      expect(status).toBeLessThan(500)
    }
    for (const edu of [json, `{"edu_type":"m.typing","content":${json}}`, `{"edu_type":${json},"content":{}}`]) {
      const { status } = await transact(
        `{"origin":"${peer.serverName}","origin_server_ts":1,"pdus":[],"edus":[${edu}]}`,
      )
      expect(status).toBeLessThan(500)
    }
  })
})

describe('EDUs with contents that they cannot mean', () => {
  const EDUS: Record<string, object> = {
    'm.typing': { room_id: 'ROOM', user_id: 'PEER', typing: true },
    'm.receipt': { ROOM: { 'm.read': { PEER: { event_ids: ['EVENT'], data: { ts: 1 } } } } },
    'm.presence': { push: [{ user_id: 'PEER', presence: 'online', last_active_ago: 1 }] },
    'm.device_list_update': { user_id: 'PEER', device_id: 'D', stream_id: 1, prev_id: [], deleted: false, keys: {} },
    'm.signing_key_update': { user_id: 'PEER', master_key: { user_id: 'PEER', usage: ['master'], keys: {} } },
    'm.direct_to_device': { sender: 'PEER', type: 't', message_id: 'm', messages: { ALICE: { '*': {} } } },
  }

  test.each(Object.entries(EDUS))('%s', async (edu_type, content) => {
    for (const name of Object.keys(content)) {
      for (const value of WRONG_TYPES) {
        // Of the wrong user, so that a value which happens to be valid has no effect.
        const text = JSON.stringify({ ...content, [name]: value })
          .replaceAll('PEER', '@x:elsewhere.test')
          .replaceAll('ROOM', roomId)
          .replaceAll('ALICE', alice.userId)
        const edus = [{ edu_type, content: JSON.parse(text) }]
        const { status } = await transact({ origin: peer.serverName, origin_server_ts: 1, pdus: [], edus })
        expect([name, value, status]).toEqual([name, value, 200])
      }
    }
  })
})

test.each(['join', 'leave', 'knock'])('a %s that follows what is not in the room', async (membership) => {
  const sender = `@other:${peer.serverName}`
  const event = {
    ...proper,
    type: 'm.room.member',
    sender,
    state_key: sender,
    content: { membership },
    prev_events: ['$unknownunknownunknownunknownunknownunknown1'],
  }
  const signed = peer.sign(event, VERSION) as Pdu
  const { event_id } = toEvent(ROOM_VERSIONS.get(VERSION)!, signed)
  const version = membership === 'knock' ? 'v1' : 'v2'
  const path = `/_matrix/federation/${version}/send_${membership}/${encodeURIComponent(roomId)}/${encodeURIComponent(event_id)}`
  const { status, text } = await peer.send(home, { method: 'PUT', path, body: JSON.stringify(signed) })
  expect([status, JSON.parse(text).errcode]).toEqual([400, 'M_INVALID_PARAM'])
})

test('after all that a proper event is taken, with all that is odd in it, and nothing else has changed', async () => {
  const content = {
    ...proper.content,
    any: { a: '\0', '': [null, -5], '\u{10ffff}': 'é', __proto: {}, constructor: 1 },
  }
  const event = peer.sign({ ...proper, content, origin_server_ts: Date.now() }, VERSION)
  const { text } = await transact({ origin: peer.serverName, origin_server_ts: 1, pdus: [event], edus: [] })
  expect(Object.values(JSON.parse(text).pdus)).toEqual([{}])
  // Events of a room are ingested in order, so the previous ones have been processed.
  await pollUntil('the event is here', async () => bodiesOf(await historyOf(alice, roomId)).includes('from the peer'))
  const after = await snapshot()
  expect(after).toEqual({ ...before, history: [...before.history, expect.objectContaining({ content })] })
})
