import { createHmac, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { ulidOf } from '../../core/ulid.ts'
import { prepareNoticesUser } from '../../services/rooms/lifecycle/server-notices.ts'
import { operatorParts, writeOperatorProof } from '../../services/users/administration/operator.ts'
import { listTasks } from '../../storage/jobs/tasks.ts'
import { startClientApi } from '../../testing/client-api.ts'
import { adminEndpoints } from '../admin-endpoints.ts'
import { roomEndpoints } from '../client/room-endpoints.ts'
import type { AnyEndpoint } from '../http/route.ts'

const SECRET = 'known to the operator'

let api: Awaited<ReturnType<typeof startClientApi>>
beforeAll(async () => {
  const config = { registration: { shared_secret: SECRET }, server_notices: { localpart: 'notices' } }
  api = await startClientApi({ config, endpoints: [...adminEndpoints, ...roomEndpoints] })
  await prepareNoticesUser(api.app)
})
afterAll(() => api.close())

/** Sends a request as a command of `hearth` does. */
async function send(method: string, url: string, body?: object) {
  const proof = { name: 'root', nonce: randomBytes(16).toString('hex'), time: Date.now() }
  const mac = createHmac('sha256', SECRET).update(operatorParts(proof, { method, url }).join('\0')).digest('hex')
  const response = await fetch(api.origin + url, {
    method,
    headers: { authorization: writeOperatorProof({ ...proof, mac }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : {} }
}

let made = 0
/** Creates a user with a room, an event in it, and reports. */
async function createWorld() {
  const user = await api.client(`user${++made}`)
  const reporter = await api.client(`reporter${made}`)
  const room = await user.createRoom({ preset: 'public_chat' })
  const path = `/rooms/${encodeURIComponent(room)}`
  await reporter.ok('POST', `/join/${encodeURIComponent(room)}`, {})
  const { event_id: event } = await user.ok('PUT', `${path}/send/m.room.message/1`, { msgtype: 'm.text', body: 'x' })
  await reporter.ok('POST', `${path}/report/${encodeURIComponent(event)}`, { reason: 'r' })
  const { body } = await send('GET', '/_hearth/admin/v1/reports?limit=1')
  return { user: user.userId, reporter: reporter.userId, room, event, report: String(body.reports[0].id) }
}
type World = Awaited<ReturnType<typeof createWorld>>

/** Returns the body of requests that need one that is not empty, by the end of the path. */
const bodyFor = (path: string, { user, room }: World): object | undefined => {
  const bodies: Record<string, object> = {
    '/redact': { rooms: [room] },
    '/erase': { redact_events: true },
    '/send_server_notice': { user_id: user, content: { msgtype: 'm.text', body: 'x' } },
    '/send_server_notice/:txnId': { user_id: user, content: { msgtype: 'm.text', body: 'x' } },
    '/join/:roomIdOrAlias': { user_id: user },
    '/block': { block: true },
    '/admin': { admin: true },
    '/set-admin': { admin: true },
    '/suspend/:userId': { suspend: true },
    '/reset_password/:userId': { new_password: 'another horse battery' },
    '/set-password': { password: 'another horse battery' },
    '/purge_history/:roomId': { purge_up_to_ts: Date.now() + 1000 },
    '/reports/:reportId': { state: 'resolved', note: 'done' },
    '/personal_tokens': { name: 'bot' },
    '/personal-sessions': { actor_user_id: ulidOf(0, user), human_name: 'b', scope: 'urn:matrix:client:api:*' },
    '/user-emails': { user_id: ulidOf(0, user), email: `a${made}@b.example` },
    '/start_job': { job_name: 'populate_stats_process_rooms' },
    '/background_updates/enabled': { enabled: true },
    '/content_rules/:sha256': { verdict: 'deny' },
    '/v1/users': { username: `new${made}` },
    '/devices': { device_id: 'NEW' },
    '/delete_devices': { devices: [] },
    '/v2/rooms/:roomId': { block: true, new_room_user_id: user },
    '/v1/rooms/:roomId': { block: true, new_room_user_id: user },
  }
  return Object.entries(bodies).find(([end]) => path.endsWith(end))?.[1]
}

function pathFor(path: string, { user, room, event, report }: World): string {
  const values: Record<string, string> = {
    ...{ userId: user, roomId: room, roomIdOrAlias: room, eventId: event, reportId: report, id: ulidOf(0, user) },
    ...{ serverName: 'other.example', sha256: 'ab'.repeat(32), username: user.slice(1).split(':')[0]! },
  }
  const filled = path.replace(/:(\w+)/g, (_, name) => encodeURIComponent(values[name] ?? 'x'))
  return path.endsWith('timestamp_to_event') || path.endsWith('count') ? `${filled}?ts=0&from_ts=0` : filled
}

const isSuccess = (status: number) => status < 300
const isOurs = (status: number) => status < 500

/** Needs a database with a folder. */
const COPY = '/_hearth/admin/v1/database/copy'

const REQUESTS = adminEndpoints.flatMap((endpoint: AnyEndpoint) =>
  endpoint.auth === 'admin' && endpoint.path !== COPY
    ? [endpoint.path].flat().map((path) => [`${endpoint.method} ${path}`, endpoint.method, path] as const)
    : [],
)

/** The audit log has the first path of an endpoint. */
function firstNameOf(name: string): string {
  const [method, path] = name.split(' ') as [string, string]
  const endpoint = adminEndpoints.find((each) => each.method === method && [each.path].flat().includes(path))
  return `${method} ${[endpoint!.path].flat()[0]}`
}

describe('an operator, who is no user,', () => {
  let shared: World
  const done = new Set<string>()
  beforeAll(async () => {
    shared = await createWorld()
  })

  test.each(REQUESTS)('sends %s', async (name, method, path) => {
    const world = method === 'GET' ? shared : await createWorld()
    const given = method === 'GET' ? undefined : bodyFor(path, world)
    const { status, body } = await send(method, pathFor(path, world), given)
    // Requests with a body of their own succeed; others may name what does not exist.
    if (method !== 'GET' && isSuccess(status)) done.add(name)
    expect([status, body]).toEqual([given ? expect.toSatisfy(isSuccess) : expect.toSatisfy(isOurs), body])
  })

  test('alone may have the database copied, not an administrator', async () => {
    const admin = await api.client('copying', { admin: true })
    expect(await admin.ask('POST', `/../../..${COPY}`)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  test('is in the audit log with each act', async () => {
    const actions: string[] = []
    for (let from: number | undefined = 0; from !== undefined; ) {
      const { body } = await send('GET', `/_hearth/admin/v1/audit_log?dir=f&limit=1000&from=${from}`)
      actions.push(...body.entries.map(({ action }: { action: string }) => action))
      from = body.next_token
    }
    const entered = new Set(actions)
    expect(done.size).toBeGreaterThan(50)
    expect([...done].filter((name) => !entered.has(firstNameOf(name)))).toEqual([])
  })

  test('ends all tasks that these begin', async () => {
    const filter = { action: null, resourceId: null, statuses: null, until: null }
    const ended = await pollUntil('all tasks have ended', async () => {
      const tasks = await listTasks(api.app.database, filter, 1000)
      return tasks.every(({ status }) => status !== 'scheduled' && status !== 'active') && tasks
    })
    expect(ended.filter(({ status }) => status === 'failed')).toEqual([])
    expect(new Set(ended.map(({ action }) => action))).toContain('redact_user')
  })

  test('has the user send redactions, and sends none', async () => {
    const { user, room, event } = await createWorld()
    const path = `/_synapse/admin/v1/user/${encodeURIComponent(user)}/redact`
    expect(await send('POST', path, { rooms: [room], use_admin: true })).toMatchObject({ status: 400 })
    const { body } = await send('POST', path, { rooms: [room] })
    await pollUntil('the redaction has ended', async () => {
      const { body: found } = await send('GET', `/_synapse/admin/v1/user/redact_status/${body.redact_id}`)
      return found.status === 'complete'
    })
    const { body: fetched } = await send('GET', `/_synapse/admin/v1/fetch_event/${encodeURIComponent(event)}`)
    expect(fetched.event.event_id).toBe(event)
    const { body: messages } = await send('GET', `/_synapse/admin/v1/rooms/${encodeURIComponent(room)}/messages?dir=b`)
    const redaction = messages.chunk.find(({ type }: { type: string }) => type === 'm.room.redaction')
    expect(redaction).toMatchObject({ sender: user })
  })
})
