import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { createRoom } from '../harness/rooms.ts'

/** Paths that clients still use beside those of the newest specification: each must lead to the same endpoint. */
const { url } = inject('homeserver')
let user: TestUser
let roomId: string

beforeAll(async () => {
  user = await registerUser(url)
  roomId = await createRoom(user)
})

const filled = (path: string) =>
  path
    .replace('{user}', encodeURIComponent(user.userId))
    .replace('{room}', encodeURIComponent(roomId))
    .replace('{device}', user.deviceId)
const isServed = ({ status, body }: { status: number; body: { errcode?: string } }) =>
  !([404, 405].includes(status) && body?.errcode === 'M_UNRECOGNIZED')

/** The r0 paths of clients before v1.1. */
const SINCE_R0: [string, string][] = [
  ['GET', '/login'],
  ['GET', '/sync'],
  ['GET', '/events'],
  ['GET', '/initialSync'],
  ['GET', '/account/whoami'],
  ['GET', '/account/3pid'],
  ['GET', '/capabilities'],
  ['GET', '/devices'],
  ['GET', '/devices/{device}'],
  ['GET', '/joined_rooms'],
  ['GET', '/publicRooms'],
  ['GET', '/pushers'],
  ['GET', '/pushrules/'],
  ['GET', '/notifications'],
  ['GET', '/thirdparty/protocols'],
  ['GET', '/voip/turnServer'],
  ['GET', '/profile/{user}'],
  ['GET', '/profile/{user}/displayname'],
  ['GET', '/presence/{user}/status'],
  ['GET', '/user/{user}/rooms/{room}/tags'],
  ['GET', '/rooms/{room}/state'],
  ['GET', '/rooms/{room}/members'],
  ['GET', '/rooms/{room}/joined_members'],
  ['GET', '/rooms/{room}/messages?dir=b'],
  ['GET', '/rooms/{room}/initialSync'],
  ['GET', '/rooms/{room}/aliases'],
  ['GET', '/room_keys/version'],
  ['GET', '/keys/changes?from=x&to=y'],
  ['POST', '/keys/query'],
  ['POST', '/keys/upload'],
  ['POST', '/keys/claim'],
  ['POST', '/createRoom'],
  ['POST', '/search'],
  ['POST', '/user_directory/search'],
  ['POST', '/rooms/{room}/read_markers'],
]

describe.each(['r0', 'v3'])('%s', (version) => {
  test.each(SINCE_R0)('%s %s', async (method, path) => {
    const answer = await user.ask(
      method,
      filled(`/_matrix/client/${version}${path}`),
      method === 'POST' ? {} : undefined,
    )
    expect(isServed(answer)).toBe(true)
    expect(answer.status).toBeLessThan(500)
  })
})

/** Paths from before a feature was specified. */
const UNSTABLE: [string, string][] = [
  ['GET', '/_matrix/client/unstable/org.matrix.msc2946/rooms/{room}/hierarchy'],
  ['GET', '/_matrix/client/unstable/org.matrix.msc3030/rooms/{room}/timestamp_to_event?ts=0&dir=f'],
  ['GET', '/_matrix/client/unstable/im.nheko.summary/summary/{room}'],
  ['GET', '/_matrix/client/unstable/im.nheko.summary/rooms/{room}/summary'],
  ['GET', '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id=%40nobody%3Aexample.org'],
  ['GET', '/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user}'],
  ['GET', '/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user}/displayname'],
  ['POST', '/_matrix/client/unstable/org.matrix.msc4151/rooms/{room}/report'],
  ['POST', '/_matrix/client/unstable/org.matrix.msc4260/users/{user}/report'],
  ['GET', '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'],
  ['GET', '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'],
  ['POST', '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'],
  ['GET', '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions'],
  ['GET', '/_matrix/client/v1/media/config'],
  ['GET', '/_matrix/media/r0/config'],
  ['GET', '/_matrix/media/v1/config'],
  ['GET', '/_matrix/media/v3/config'],
]

test.each(UNSTABLE)('%s %s', async (method, path) => {
  const answer = await user.ask(method, filled(path), method === 'POST' ? {} : undefined)
  expect(isServed(answer)).toBe(true)
  expect(answer.status).toBeLessThan(500)
})

/** https://spec.matrix.org/v1.19/client-server-api/#common-error-codes */
test.each([
  ['GET', '/_matrix/client/v3/nothing', 404],
  ['GET', '/_matrix/client/v99/sync', 404],
  ['GET', '/_matrix/nothing', 404],
  ['GET', '/nothing', 404],
  ['DELETE', '/_matrix/client/v3/sync', 405],
  ['GET', '/_matrix/client/v3/createRoom', 405],
])('%s %s is not recognised', async (method, path, status) => {
  const answer = await ask(url, { method, path, token: user.accessToken })
  expect([answer.status, answer.body.errcode]).toEqual([status, 'M_UNRECOGNIZED'])
  expect(answer.headers.get('access-control-allow-origin')).toBe('*')
})

/** https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients */
test.each(['/_matrix/client/v3/sync', '/_matrix/client/v3/nothing', '/_matrix/media/v3/upload'])(
  'browsers may ask for %s from any page',
  async (path) => {
    const { status, headers } = await fetch(url + path, { method: 'OPTIONS' })
    expect(status).toBeLessThan(300)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    const allowed = (name: string) => headers.get(`access-control-allow-${name}`)!.split(/, */)
    expect(allowed('methods')).toEqual(expect.arrayContaining(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']))
    expect(allowed('headers')).toEqual(expect.arrayContaining(['X-Requested-With', 'Content-Type', 'Authorization']))
  },
)
