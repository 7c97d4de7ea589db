import { beforeAll, describe, expect, inject, test } from 'vitest'
import { loadOperations, type Operation } from '../../testing/openapi/operations.ts'
import { UNSTABLE_OPERATIONS } from '../../testing/openapi/unstable-operations.ts'
import { fillPath, type PathValues, properBody, properQuery } from '../harness/bad-requests.ts'
import { registerAdmin, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, joinRoom, roomPath, v3 } from '../harness/rooms.ts'

/** Suspended and locked accounts, at every endpoint. */
const { url, sharedSecret } = inject('homeserver')

/**
 * The writes of suspended users: https://spec.matrix.org/v1.19/client-server-api/#account-suspension. All others are
 * refused.
 */
const ALLOWED: Record<string, readonly string[]> = {
  'their sessions and devices': [
    'POST v1/login/get_token',
    'POST v3/logout',
    'POST v3/logout/all',
    'PUT v3/devices/{deviceId}',
    'DELETE v3/devices/{deviceId}',
    'POST v3/delete_devices',
    'POST unstable/io.element.msc4388/rendezvous',
    'DELETE unstable/hearth/tokens/{tokenId}',
  ],
  'their account, but removing an address': [
    'POST v3/account/password',
    'POST v3/account/deactivate',
    'POST v3/account/3pid',
    'POST v3/account/3pid/add',
    'POST unstable/account_validity/send_mail',
  ],
  'what is for themselves': [
    'PUT v3/user/{userId}/account_data/{type}',
    'PUT v3/user/{userId}/rooms/{roomId}/account_data/{type}',
    'DELETE unstable/org.matrix.msc3391/user/{userId}/account_data/{type}',
    'PUT v3/user/{userId}/rooms/{roomId}/tags/{tag}',
    'DELETE v3/user/{userId}/rooms/{roomId}/tags/{tag}',
    'POST v3/user/{userId}/filter',
    'PUT v3/pushrules/global/{kind}/{ruleId}',
    'DELETE v3/pushrules/global/{kind}/{ruleId}',
    'PUT v3/pushrules/global/{kind}/{ruleId}/enabled',
    'PUT v3/pushrules/global/{kind}/{ruleId}/actions',
    'POST v3/pushers/set',
    'PUT unstable/io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription',
    'DELETE unstable/io.element.msc4306/rooms/{roomId}/thread/{threadId}/subscription',
  ],
  'their keys, and those of others that they need to read': [
    'POST v3/keys/upload',
    'POST v3/keys/query',
    'POST v3/keys/claim',
    'POST v3/keys/device_signing/upload',
    'POST v3/keys/signatures/upload',
    'PUT v3/sendToDevice/{eventType}/{txnId}',
    'POST v3/room_keys/version',
    'PUT v3/room_keys/version/{version}',
    'DELETE v3/room_keys/version/{version}',
    'PUT v3/room_keys/keys',
    'PUT v3/room_keys/keys/{roomId}',
    'PUT v3/room_keys/keys/{roomId}/{sessionId}',
    'DELETE v3/room_keys/keys',
    'DELETE v3/room_keys/keys/{roomId}',
    'DELETE v3/room_keys/keys/{roomId}/{sessionId}',
    'PUT unstable/org.matrix.msc3814.v1/dehydrated_device',
    'DELETE unstable/org.matrix.msc3814.v1/dehydrated_device',
    'POST unstable/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events',
  ],
  'reading and leaving, and taking back what they sent': [
    'POST unstable/org.matrix.simplified_msc3575/sync',
    'POST v4/sync',
    'POST v3/publicRooms',
    'POST v3/search',
    'POST v3/user_directory/search',
    'POST v3/rooms/{roomId}/leave',
    'POST v3/rooms/{roomId}/forget',
    'POST v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
    'POST v3/rooms/{roomId}/read_markers',
    'PUT v3/rooms/{roomId}/redact/{eventId}/{txnId}',
    'POST v3/rooms/{roomId}/redact/{eventId}',
    'POST unstable/org.matrix.msc4140/delayed_events/{delayId}/send',
    'POST unstable/org.matrix.msc4140/delayed_events/{delayId}/cancel',
    'POST unstable/org.matrix.msc4140/delayed_events/{delayId}/restart',
    'POST unstable/org.matrix.msc4140/delayed_events/{delayId}',
  ],
  'reporting abuse': [
    'POST v3/rooms/{roomId}/report',
    'POST v3/rooms/{roomId}/report/{eventId}',
    'POST v3/users/{userId}/report',
  ],
}
const MAY_LOG_OUT = ['POST v3/logout', 'POST v3/logout/all']

const nameOf = ({ method, path }: Operation) => `${method} ${path.replace('/_matrix/client/', '')}`
const OPERATIONS = [...loadOperations(), ...UNSTABLE_OPERATIONS].filter(
  ({ auth }) => auth !== 'none' && auth !== 'server',
)
const CHANGES = OPERATIONS.filter(({ method }) => method !== 'GET')
const allowed = new Set(Object.values(ALLOWED).flat())

let admin: TestUser
let friend: TestUser
let roomId: string
beforeAll(async () => {
  ;[admin, friend] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
  roomId = await createRoom(friend)
})

/** Creates a user in the room who is then restricted by an administrator. */
async function restricted(how: 'suspended' | 'locked'): Promise<{ user: TestUser; values: PathValues }> {
  const user = await registerUser(url)
  await joinRoom(roomId, user)
  const eventId = await sendText(user, roomId, 'mine')
  const verb = how === 'suspended' ? 'suspend' : 'lock'
  await admin.put(`/_matrix/client/v1/admin/${verb}/${encodeURIComponent(user.userId)}`, { [how]: true })
  const { userId, deviceId } = user
  const values = { userId, deviceId, roomId, eventId, threadId: eventId, roomIdOrAlias: roomId, kind: 'override' }
  return { user, values: { ...values, type: 'org.example.a', receiptType: 'm.read', txnId: uniqueName() } }
}

const send = (user: TestUser, operation: Operation, values: PathValues) =>
  user.ask(
    operation.method,
    fillPath(operation, values) + properQuery(operation),
    operation.method === 'GET' ? undefined : operation.body ? properBody(operation) : {},
  )

describe('suspended users', () => {
  test('can do all that is allowed', async () => {
    const names = new Set(CHANGES.map(nameOf))
    for (const name of allowed) expect(names, name).toContain(name)
    for (const operation of CHANGES.filter((each) => allowed.has(nameOf(each)))) {
      const { user, values } = await restricted('suspended')
      const { status, body } = await send(user, operation, values)
      expect([nameOf(operation), body.errcode]).not.toEqual([nameOf(operation), 'M_USER_SUSPENDED'])
      expect([nameOf(operation), status < 500]).toEqual([nameOf(operation), true])
    }
  })

  test('can do nothing else', async () => {
    const { user, values } = await restricted('suspended')
    const others = CHANGES.filter((each) => !allowed.has(nameOf(each)))
    expect(others.length).toBeGreaterThan(25)
    const outcomes = []
    for (const operation of others) {
      const { status, body } = await send(user, operation, values)
      outcomes.push([nameOf(operation), status, body.errcode])
    }
    expect(outcomes).toEqual(others.map((operation) => [nameOf(operation), 403, 'M_USER_SUSPENDED']))
  })

  test('can read everything', async () => {
    const { user, values } = await restricted('suspended')
    for (const operation of OPERATIONS.filter(({ method }) => method === 'GET')) {
      const { body } = await send(user, operation, values)
      expect([nameOf(operation), body.errcode]).not.toEqual([nameOf(operation), 'M_USER_SUSPENDED'])
    }
  })

  test('send messages to their own devices only', async () => {
    const { user } = await restricted('suspended')
    const path = (txnId: string) => `${v3}/sendToDevice/m.key.verification.request/${txnId}`
    const to = (...recipients: TestUser[]) => ({
      messages: Object.fromEntries(recipients.map(({ userId }) => [userId, { '*': { text: 'psst' } }])),
    })
    await user.put(path('own'), to(user))
    for (const [txnId, body] of [
      ['other', to(friend)],
      ['both', to(user, friend)],
    ] as const) {
      const answer = await user.ask('PUT', path(txnId), body)
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_USER_SUSPENDED'])
    }
    const { to_device } = await friend.get(`${v3}/sync?timeout=0`)
    expect(to_device?.events ?? []).toEqual([])
  })

  test('redact only what they sent, and say nothing by what they may do', async () => {
    const { user, values } = await restricted('suspended')
    const foreign = await sendText(friend, roomId, 'not theirs')
    const redact = (eventId: string) =>
      user.ask('PUT', roomPath(roomId, `redact/${encodeURIComponent(eventId)}/r${uniqueName()}`), {})
    expect((await redact(foreign)).body.errcode).toBe('M_USER_SUSPENDED')
    expect((await redact(values.eventId!)).status).toBe(200)
  })
})

test('locked users can do nothing but log out', async () => {
  const { user, values } = await restricted('locked')
  const outcomes = []
  const others = OPERATIONS.filter((each) => !MAY_LOG_OUT.includes(nameOf(each)))
  for (const operation of others) {
    const { status, body } = await send(user, operation, values)
    outcomes.push([nameOf(operation), status, body.errcode, body.soft_logout])
  }
  expect(outcomes).toEqual(others.map((operation) => [nameOf(operation), 401, 'M_USER_LOCKED', true]))
  for (const name of MAY_LOG_OUT) {
    const another = await restricted('locked')
    const operation = OPERATIONS.find((each) => nameOf(each) === name)!
    expect([name, (await send(another.user, operation, another.values)).status]).toEqual([name, 200])
  }
})
