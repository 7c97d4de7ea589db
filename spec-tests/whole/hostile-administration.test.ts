import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, registerUser } from '../harness/client.ts'
import { stageIn } from '../harness/federation-attacks/mallory.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
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

/** The endpoints for administrators, from the generated list. */
function adminEndpoints(): [method: string, path: string][] {
  const text = readFileSync(new URL('../../docs/endpoints.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| (GET|POST|PUT|DELETE|PATCH) \| `([^`]+)`[^|]* \| admin\b/gm)]
  return rows.map(([, method, path]) => [method!, path!.replaceAll(/[:*]\w+/g, 'x')])
}

const OUTSIDERS: Attack[] = [
  {
    name: 'every endpoint for administrators, by a user and without a token',
    async attempt({ alice, url }) {
      const endpoints = adminEndpoints()
      expect(endpoints.length).toBeGreaterThan(150)
      for (const [method, path] of endpoints) {
        const body = method === 'GET' ? undefined : {}
        const user = await alice.ask(method, path, body)
        expect([method, path, user.status]).toEqual([method, path, 403])
        const stranger = await ask(url, { method, path, ...(body && { body }) })
        expect([method, path, stranger.status]).toEqual([method, path, 401])
      }
    },
  },
]

describeAttacks('administration', [...ANSWERS, ...OUTSIDERS], async (federation) => {
  service = await startSpamService()
  federation.onDispose(() => service.close())
  const spam_checks = { url: service.url, checks: [...CHECKS], timeout: '1s' }
  return { config: { spam_checks } }
})
