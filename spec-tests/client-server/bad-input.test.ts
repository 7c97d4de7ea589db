import { beforeAll, describe, expect, inject, test } from 'vitest'
import { loadOperations, type Operation } from '../../testing/openapi/operations.ts'
import { UNSTABLE_OPERATIONS } from '../../testing/openapi/unstable-operations.ts'
import {
  type BadRequest,
  fillPath,
  type PathValues,
  parametersOf,
  properBody,
  properQuery,
  requestsToRefuse,
  requestsToSurvive,
  sampleBody,
} from '../harness/bad-requests.ts'
import { ENDLESS_NEST, UNREADABLE_BODIES } from '../harness/bad-values.ts'
import { checkAnswer } from '../harness/check-answer.ts'
import { registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'

/** Every operation of the API must refuse malformed requests promptly with client errors, without any change. */
const { url, sharedSecret } = inject('homeserver')
/** Operations that refuse others than administrators before they look at a request. */
const FOR_ADMINISTRATORS = /^\/_(synapse|hearth)\/admin\//
/** Anything slower hangs; a busy machine is slow too. */
const LONGEST_MS = 50_000
const v3 = '/_matrix/client/v3'

type Outcome = { status: number; errcode: string | undefined; fault: string | undefined }

/** Properties of bodies that Hearth does not read, so that any value passes, with the reason. */
const UNREAD: Record<string, string> = {
  'PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId} pattern': 'for content rules only, and this is another kind',
}
/** Operations that the OpenAPI files say need a token, but the text does not. */
const TOKEN_OPTIONAL: Record<string, string> = {
  'GET /_matrix/client/v1/room_summary/{roomIdOrAlias}': 'servers may let anybody ask about public rooms',
}
/** Names of servers that may not exist: a failure to reach them is no fault. */
const NAMES_SERVER = /^\??(serverName|server)\b/
/** Operations that others may perform on a named object, with the reason. */
const OPEN_TO_OTHERS: Record<string, string> = {
  'GET /_matrix/client/v3/directory/list/room/{roomId}': 'whether a room is published is public',
  'GET /_matrix/client/v3/profile/{userId}': 'profiles are public',
  'GET /_matrix/client/v3/profile/{userId}/{keyName}': 'profiles are public',
  'PUT /_matrix/client/unstable/org.matrix.msc4140/rooms/{roomId}/delayed_event/{eventType}/{txnId}':
    'whether it may be sent is decided when it is due',
  'POST /_matrix/client/v3/rooms/{roomId}/forget': 'who never was in a room has forgotten it',
  'POST /_matrix/client/v3/rooms/{roomId}/report': 'rooms can be reported without being in them',
  'POST /_matrix/client/v3/users/{userId}/report': 'any user can be reported',
}

const NO_JSON = Object.entries(UNREADABLE_BODIES)
  .filter(([what, body]) => what !== ENDLESS_NEST && !isJson(body))
  .map(([what]) => what)
const NO_OBJECT = Object.keys(UNREADABLE_BODIES).filter((what) => !NO_JSON.includes(what))
const OF_NO_JSON = ['M_NOT_JSON']
const OF_WRONG_JSON = ['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM']

function isJson(body: string | Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(body as string)))
    return true
  } catch {
    return false
  }
}

/**
 * Returns the errcodes of which one is correct for a request with this error.
 * https://spec.matrix.org/v1.19/client-server-api/#common-error-codes
 */
function errorsFor(what: string): readonly string[] | undefined {
  if (NO_JSON.includes(what)) return OF_NO_JSON
  return NO_OBJECT.includes(what) ? OF_WRONG_JSON : undefined
}

async function send(request: BadRequest, token?: string): Promise<Outcome> {
  try {
    const response = await fetch(url + request.path, {
      method: request.method,
      headers: {
        ...(request.body !== undefined && { 'Content-Type': 'application/json' }),
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
      ...(request.body !== undefined && { body: request.body as string }),
      redirect: 'manual',
      signal: AbortSignal.timeout(LONGEST_MS),
    })
    return outcomeOf(request, response.status, await response.text())
  } catch (error) {
    return { status: 0, errcode: undefined, fault: `no answer: ${error} ${(error as Error).cause ?? ''}` }
  }
}

/** Operations that answer a browser, errors too. */
const PAGES = /^\/_matrix\/client\/v3\/login\/sso\/redirect/

function outcomeOf(request: BadRequest, status: number, text: string): Outcome {
  if (status >= 500 || status < 200) return { status, errcode: undefined, fault: `answers ${status}: ${text}` }
  if (status < 400) return { status, errcode: undefined, fault: undefined }
  if (PAGES.test(request.path) && text.startsWith('<!doctype html>'))
    return { status, errcode: undefined, fault: undefined }
  try {
    const body = JSON.parse(text)
    checkAnswer(request, { status, body })
    return { status, errcode: body.errcode, fault: undefined }
  } catch (error) {
    return { status, errcode: undefined, fault: `${error}` }
  }
}

/** Sends all requests, a few concurrently, and returns a line for each response that differs from `expected`. */
async function faultsOf(
  requests: readonly BadRequest[],
  token: string | undefined,
  expected: (outcome: Outcome) => boolean,
): Promise<string[]> {
  const faults: string[] = []
  const waiting = [...requests]
  async function work(): Promise<void> {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const outcome = await send(next, token)
      const isUnreachable = outcome.status === 502 && NAMES_SERVER.test(next.what)
      const fault = isUnreachable
        ? undefined
        : (outcome.fault ?? (expected(outcome) ? undefined : `answers ${outcome.status} ${outcome.errcode}`))
      if (fault) faults.push(`${next.method} ${next.path.slice(0, 200)} with ${next.what}: ${fault.slice(0, 300)}`)
    }
  }
  await Promise.all([work(), work(), work()])
  return faults
}

/** Creates a user with a room, an event and everything else that a path can name. */
async function createOwner(user: TestUser): Promise<PathValues> {
  const { room_id: roomId } = await user.post(`${v3}/createRoom`, { name: 'Tea' })
  const eventId = await sendText(user, roomId, 'hello')
  return {
    roomId,
    eventId,
    roomIdOrAlias: roomId,
    roomAlias: `#${uniqueName()}:${user.userId.split(':')[1]}`,
    userId: user.userId,
    deviceId: user.deviceId,
    eventType: 'org.example.type',
    stateKey: 'key',
    txnId: uniqueName(),
    type: 'org.example.type',
    keyName: 'displayname',
    relType: 'm.thread',
    receiptType: 'm.read',
    kind: 'override',
    ruleId: 'rule',
    threadId: eventId,
    delayId: 'unknown',
    sessionId: 'unknown',
    serverName: user.userId.split(':')[1]!,
    version: '1',
  }
}

/** Returns everything that the API shows of a user, without values that change by themselves. */
async function snapshot(user: TestUser): Promise<unknown> {
  const { next_batch: _, presence: __, ...sync } = await user.get(`${v3}/sync?timeout=0`)
  const { devices } = await user.get(`${v3}/devices`)
  const rooms = await user.get(`${v3}/joined_rooms`)
  const profile = await user.get(`${v3}/profile/${encodeURIComponent(user.userId)}`)
  const rules = await user.get(`${v3}/pushrules/`)
  const backup = await user.ask('GET', `${v3}/room_keys/version`)
  const keys = await user.post(`${v3}/keys/query`, { device_keys: { [user.userId]: [] } })
  const named = devices.map(({ device_id, display_name }: Record<string, unknown>) => ({ device_id, display_name }))
  return { sync: withoutAges(sync), devices: named, rooms, profile, rules, backup: backup.body, keys }
}

function withoutAges(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => (key === 'age' ? undefined : inner)))
}

async function isServed(operation: Operation): Promise<boolean> {
  const response = await fetch(url + fillPath(operation, {}), { method: operation.method, redirect: 'manual' })
  const text = await response.text()
  return !text.includes('M_UNRECOGNIZED')
}

const all = [...loadOperations(), ...UNSTABLE_OPERATIONS]
const served = await Promise.all(all.map(isServed))
const operations = all
  .filter((_, place) => served[place])
  .map((operation) => ({ name: `${operation.method} ${operation.path}`, operation }))

let alice: TestUser
let mallory: TestUser
let admin: TestUser
let values: PathValues
let before: unknown

beforeAll(async () => {
  ;[alice, mallory, admin] = await Promise.all([registerUser(url), registerUser(url), registerAdmin(url, sharedSecret)])
  values = await createOwner(alice)
  before = await snapshot(alice)
})

test('there are operations to try', () => {
  expect(operations.length).toBeGreaterThan(160)
})

describe.concurrent.each(operations)('$name', ({ name, operation }) => {
  const { method } = operation

  test('without a token, and with one that is none', async () => {
    const body = operation.body && { body: JSON.stringify(sampleBody(operation)) }
    const request = { what: 'no token', method, path: fillPath(operation, values), ...body }
    if (operation.auth !== 'user' || TOKEN_OPTIONAL[name]) {
      expect(await faultsOf([request], undefined, () => true)).toEqual([])
      return
    }
    const refused = (errcode: string) => (outcome: Outcome) => outcome.status === 401 && outcome.errcode === errcode
    expect(await faultsOf([request], undefined, refused('M_MISSING_TOKEN'))).toEqual([])
    const garbage = { ...request, what: 'a garbage token' }
    expect(await faultsOf([garbage], 'garbage', refused('M_UNKNOWN_TOKEN'))).toEqual([])
  })

  test('by another method', async () => {
    const request = { what: 'PATCH', method: 'PATCH', path: fillPath(operation, values) }
    const refused = ({ status, errcode }: Outcome) => status === 405 && errcode === 'M_UNRECOGNIZED'
    expect(await faultsOf([request], alice.accessToken, refused)).toEqual([])
  })

  test('with a body that it cannot mean', async () => {
    const actor = FOR_ADMINISTRATORS.test(operation.path) ? admin : alice
    const requests = requestsToRefuse(operation, values).filter(({ what }) => !UNREAD[`${name} ${what.split(':')[0]}`])
    for (const [expected, some] of Map.groupBy(requests, ({ what }) => errorsFor(what))) {
      // A user without permission may get 403 instead of the error of the malformed request.
      const refused = ({ status, errcode }: Outcome) =>
        status === 403 || (status >= 400 && (!expected || expected.includes(errcode!)))
      expect(await faultsOf(some, actor.accessToken, refused)).toEqual([])
    }
  })

  test('with odd values, from somebody else', async () => {
    // Not Mallory if a session would end, or if every request would return all of the many rooms.
    const isAdmin = FOR_ADMINISTRATORS.test(operation.path)
    const isApart = /logout|initialSync|sync$/.test(operation.path)
    const actor = isAdmin ? await registerAdmin(url, sharedSecret) : isApart ? await registerUser(url) : mallory
    const own = await createOwner(actor)
    expect(await faultsOf(requestsToSurvive(operation, own), actor.accessToken, () => true)).toEqual([])
  })

  test("with another's ids", async () => {
    const body = operation.body && { body: JSON.stringify(properBody(operation)) }
    if (
      OPEN_TO_OTHERS[name] ||
      !parametersOf(operation).some((parameter) => ['userId', 'roomId', 'deviceId'].includes(parameter))
    )
      return
    const path = fillPath(operation, values) + properQuery(operation)
    const request = { what: "Alice's", method, path, ...body }
    const refused = ({ status }: Outcome) => [401, 403, 404].includes(status)
    expect(await faultsOf([request], mallory.accessToken, refused)).toEqual([])
  })
})

test('after all that, nothing of Alice has changed', async () => {
  expect(await snapshot(alice)).toEqual(before)
})
