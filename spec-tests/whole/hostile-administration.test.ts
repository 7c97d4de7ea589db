import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { listEndpoints } from '../harness/admin-endpoints.ts'
import { ask, registerAdmin, registerUser } from '../harness/client.ts'
import { stageIn } from '../harness/federation-attacks/mallory.ts'
import { SHARED_SECRET } from '../harness/hearth.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { API_SCOPE, signInByOAuth } from '../harness/oauth-client.ts'
import { createRoom, hasEvent, v3 } from '../harness/rooms.ts'
import { type SpamService, startSpamService } from '../harness/spam-service.ts'

/** Attacks on administration: by a service for spam checks that lies or breaks, and by users who are no administrators. */
const CHECKS = ['user_may_create_room', 'user_may_join_room', 'check_event_for_spam'] as const

type Check = (typeof CHECKS)[number]
type Answer = ReturnType<Parameters<SpamService['answerWith']>[0]>

let service: SpamService

/** Gives an answer to one check during an attack. */
async function answering(check: Check, answer: Answer, attack: () => Promise<void>): Promise<void> {
  service.answerWith(({ name }) => (name === check ? answer : { status: 200 }))
  try {
    await attack()
  } finally {
    service.answerWith(() => ({ status: 200 }))
  }
}

/** The service refuses a new room with an odd answer. */
function oddRefusal(name: string, text: string, expected: [status: number, errcode: string]): Attack {
  return {
    name: `a refused room: ${name}`,
    attempt: ({ alice }) =>
      answering('user_may_create_room', { status: 400, text }, async () => {
        const { status, body } = await alice.ask('POST', `${v3}/createRoom`, {})
        expect([status, body.errcode]).toEqual(expected)
      }),
  }
}

const FAILED: [number, string] = [503, 'M_UNKNOWN']

/** A refusal of a remote event, or none, must not keep back later events. */
function answerToRemoteEvent(name: string, answer: Answer, isShown: boolean): Attack {
  return {
    name: `a remote event is checked: ${name}`,
    async attempt(world) {
      const { room, peer } = await stageIn(world)
      const event = room.make({ content: { msgtype: 'm.text', body: 'checked' } })
      await answering('check_event_for_spam', answer, async () => {
        await peer.send(world.home, [event])
        await pollUntil('the event is processed', () => hasProcessed(world, event, isShown))
      })
      const next = room.make({ content: { msgtype: 'm.text', body: 'next' } })
      await peer.send(world.home, [next])
      await pollUntil('the next event arrives', () => hasEvent(world.alice, next))
      expect(await hasEvent(world.alice, event)).toBe(isShown)
    },
  }
}

async function hasProcessed({ alice }: HostileWorld, event: { room_id: string; event_id: string }, isShown: boolean) {
  if (isShown) return hasEvent(alice, event)
  return service.seen.some(({ body }) => body.event?.event_id === event.event_id)
}

const ANSWERS: Attack[] = [
  oddRefusal('characters that no text has', '{"errcode":"M_FORBIDDEN","error":"\\u0000\\ud800"}', [403, 'M_FORBIDDEN']),
  oddRefusal('keys of objects', '{"__proto__":{"a":1},"constructor":1,"status":200,"errcode":"M_X"}', [403, 'M_X']),
  oddRefusal('an errcode with markup', '{"errcode":"<script>","error":{"a":[1]}}', [403, 'M_FORBIDDEN']),
  oddRefusal('a list', '["M_FORBIDDEN"]', FAILED),
  oddRefusal('brackets without an end', '['.repeat(16_000), FAILED),
  oddRefusal('five megabytes', `{"error":"${'x'.repeat(5_000_000)}"}`, FAILED),
  {
    name: 'no answer to sixty joins at once: all are refused, none is lost',
    async attempt({ alice, url }) {
      const roomId = await createRoom(alice, { preset: 'public_chat' })
      const user = await registerUser(url)
      await answering('user_may_join_room', null, async () => {
        const join = () => user.ask('POST', `${v3}/join/${encodeURIComponent(roomId)}`, {})
        const statuses = (await Promise.all(Array.from({ length: 60 }, join))).map(({ status }) => status)
        expect(new Set(statuses)).toEqual(new Set([503]))
      })
      expect((await user.ask('POST', `${v3}/join/${encodeURIComponent(roomId)}`, {})).status).toBe(200)
    },
  },
  {
    name: 'redirects of the service are not followed',
    attempt: ({ alice }) => {
      const before = service.seen.length
      const answer = { status: 307, headers: { location: `${service.url}/elsewhere` }, text: '' }
      return answering('user_may_create_room', answer, async () => {
        expect((await alice.ask('POST', `${v3}/createRoom`, {})).status).toBe(503)
        expect(service.seen.slice(before).map(({ name }) => name)).toEqual(['user_may_create_room'])
      })
    },
  },
  answerToRemoteEvent('refused with a NUL', { status: 400, text: '{"error":"\\u0000"}' }, false),
  answerToRemoteEvent('there is no answer', null, true),
]

/** The endpoints for administrators. */
const ENDPOINTS = listEndpoints()
  .filter(({ auth }) => auth === 'admin')
  .flatMap(({ method, paths }) => paths.map((path) => ({ method, path: path.replaceAll(/[:*]\w+/g, 'x') })))

/** Asks every endpoint, or those whose path begins so, and expects the same refusal. */
async function refusedBy(
  { url }: HostileWorld,
  token: string | undefined,
  refusal: [status: number, errcode: string],
  start = '/',
): Promise<void> {
  const asked = ENDPOINTS.filter(({ path }) => path.startsWith(start))
  expect(asked.length).toBeGreaterThan(start === '/' ? 150 : 20)
  for (const { method, path } of asked) {
    const body = method === 'GET' ? {} : { body: {} }
    const answer = await ask(url, { method, path, ...body, ...(token !== undefined && { token }) })
    // The answers of MAS have no error code.
    const errcode = path.startsWith('/api/admin/') ? refusal[1] : answer.body.errcode
    expect([method, path, answer.status, errcode]).toEqual([method, path, ...refusal])
  }
}

const FORBIDDEN: [number, string] = [403, 'M_FORBIDDEN']

/** No one but an administrator, with the scope, gets anything from an endpoint for administrators. */
const OUTSIDERS: Attack[] = [
  { name: 'every endpoint, by a user', attempt: (world) => refusedBy(world, world.alice.accessToken, FORBIDDEN) },
  {
    name: 'every endpoint, without a token',
    attempt: (world) => refusedBy(world, undefined, [401, 'M_MISSING_TOKEN']),
  },
  {
    name: 'every endpoint, by a wrong token',
    attempt: (world) => refusedBy(world, 'x', [401, 'M_UNKNOWN_TOKEN']),
  },
  {
    name: 'every endpoint, by a guest',
    async attempt(world) {
      const { body } = await ask(world.url, { method: 'POST', path: `${v3}/register?kind=guest`, body: {} })
      await refusedBy(world, body.access_token, [403, 'M_GUEST_ACCESS_FORBIDDEN'])
    },
  },
  {
    name: 'every endpoint, by a client of an administrator without the scope',
    async attempt(world) {
      const { access_token: token } = await signInByOAuth(world.url, await registerAdmin(world.url))
      await refusedBy(world, token, FORBIDDEN)
    },
  },
  {
    name: 'every endpoint, by a personal token of an administrator without the scope',
    async attempt(world) {
      const admin = await registerAdmin(world.url)
      const path = `/_hearth/admin/v1/users/${encodeURIComponent(admin.userId)}/personal_tokens`
      const { access_token: token } = await admin.post(path, { name: 'bot', scope: 'urn:matrix:client:api:*' })
      await refusedBy(world, token, FORBIDDEN)
    },
  },
  {
    name: 'the endpoints of one interface, with the scope of the other',
    async attempt(world) {
      const admin = await registerAdmin(world.url)
      const tokenFor = async (scope: string) =>
        (await signInByOAuth(world.url, admin, { scope: `${API_SCOPE} ${scope}` })).access_token
      await refusedBy(world, await tokenFor('urn:synapse:admin:*'), FORBIDDEN, '/api/admin/')
      const ofMas = await tokenFor('urn:mas:admin')
      for (const start of ['/_synapse/admin/', '/_hearth/admin/']) await refusedBy(world, ofMas, FORBIDDEN, start)
    },
  },
]

describeAttacks('administration', [...ANSWERS, ...OUTSIDERS], async (federation) => {
  service = await startSpamService()
  federation.onDispose(() => service.close())
  const spam_checks = { url: service.url, checks: [...CHECKS], timeout: '1s' }
  return { config: { spam_checks, registration: { enabled: true, shared_secret: SHARED_SECRET, guests: true } } }
})
