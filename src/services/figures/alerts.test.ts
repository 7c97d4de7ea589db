import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import type { LoadName } from '../../core/figures/load.ts'
import type { UserId } from '../../core/ids.ts'
import type { Mail } from '../../infra/mail/mailer.ts'
import { createMetrics, type Metrics } from '../../infra/metrics.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { jobHandlers } from '../jobs/job-handlers.ts'
import { prepareNoticesUser } from '../rooms/lifecycle/server-notices.ts'
import { createUser } from '../users/create-user.ts'
import { createCollection } from './collect.ts'
import { listRecentAlerts } from './keep-alerts.ts'
import { keepUpFigures } from './upkeep.ts'

type Values = Partial<Record<LoadName, number>>

const MINUTE = 60_000
const FULL: Values = { disk_bytes: 100, disk_used: 95 }
const FINE: Values = { disk_bytes: 100, disk_used: 50, machine_memory_used: 10, machine_memory_bytes: 100 }

const posted: { path: string; body: Record<string, unknown> }[] = []
let status = 200
const hook = createServer(async (request, response) => {
  const text = (await request.toArray()).join('')
  posted.push({ path: request.url!, body: JSON.parse(text) })
  response.writeHead(status).end()
})
await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
const webhook = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/alerts`

let app: TestApp
let admins: UserId[]
let metrics: Metrics
let values: Values
let mails: Mail[]
beforeEach(async () => {
  mails = []
  posted.length = 0
  status = 200
  values = FINE
  const send = async (mail: Mail) => void mails.push(mail)
  app = await createTestApp({
    config: {
      server_notices: { localpart: 'notices' },
      alerts: { webhook, email: ['ops@example.org', 'boss@example.org'] },
    },
    mailer: { send, close() {} },
  })
  await prepareNoticesUser(app)
  admins = [
    await createUser(app, { localpart: 'admin', admin: true }),
    await createUser(app, { localpart: 'boss', admin: true }),
  ]
  await createUser(app, { localpart: 'user' })
  metrics = createMetrics()
  metrics.measureForFigures(() => values)
})
afterEach(async () => {
  metrics.close()
  await app.close()
})

/** Lets a process run for some minutes. */
async function run(minutes: number, collection = createCollection({ ...app, metrics })): Promise<void> {
  for (let step = 0; step < minutes * 6; step++) {
    app.clock.advance(10_000)
    await collection.store()
    if (step % 6 === 5) await keepUpFigures(app)
  }
}

const alerts = async () =>
  (await listRecentAlerts(app, 100)).map(({ kind, ended_ts }) => `${kind} ${ended_ts === null ? 'holds' : 'over'}`)

const jobs = async () =>
  (await sql<{ kind: string }>`select kind from jobs order by kind`.execute(app.database.sql)).rows.map(
    ({ kind }) => kind,
  )

const noJobs = () => pollUntil('all jobs have run', async () => (await jobs()).length === 0)

test('an alert begins once, and ends once', async () => {
  // The jobs do not run here.
  app.config.alerts.queue_age = 0
  const collection = createCollection({ ...app, metrics })
  await run(2, collection)
  expect(await alerts()).toEqual([])
  values = FULL
  await run(3, collection)
  expect(await alerts()).toEqual(['disk holds'])
  expect(await jobs()).toEqual(['alert_notice', 'alert_notice', 'alert_webhook', 'send_mail', 'send_mail'])
  values = FINE
  await run(9, collection)
  expect(await alerts()).toEqual(['disk holds'])
  await run(3, collection)
  expect(await alerts()).toEqual(['disk over'])
  expect(await jobs()).toHaveLength(10)
  values = FULL
  await run(1, collection)
  expect(await alerts()).toEqual(['disk holds', 'disk over'])
})

test('an alert does not end because no process has run', async () => {
  app.config.alerts.queue_age = 0
  values = FULL
  await run(2)
  app.clock.advance(60 * MINUTE)
  await run(2)
  expect(await alerts()).toEqual(['disk holds'])
  app.clock.advance(60 * MINUTE)
  values = FINE
  await run(8)
  expect(await alerts()).toEqual(['disk holds'])
  await run(4)
  expect(await alerts()).toEqual(['disk over'])
})

test('an alert of a time when the clock was wrong ends', async () => {
  app.config.alerts.queue_age = 0
  const collection = createCollection({ ...app, metrics })
  values = FULL
  app.clock.advance(365 * 24 * 60 * MINUTE)
  await run(1, collection)
  expect(await alerts()).toEqual(['disk holds'])
  app.clock.advance(-365 * 24 * 60 * MINUTE)
  values = FINE
  await run(2, collection)
  expect(await alerts()).toEqual(['disk over'])
})

test('a restart does not repeat an alert, nor does another process', async () => {
  values = FULL
  await run(2)
  await run(2)
  app.clock.advance(MINUTE)
  await Promise.all([keepUpFigures(app), keepUpFigures(app), keepUpFigures(app)])
  expect(await alerts()).toEqual(['disk holds'])
  expect(await jobs()).toHaveLength(5)
})

test('an alert goes to administrators, by mail and to the webhook, and so does its end', async () => {
  app.jobs.start(jobHandlers(app))
  values = FULL
  const collection = createCollection({ ...app, metrics })
  await run(1, collection)
  await noJobs()
  values = FINE
  await run(12, collection)
  await noJobs()
  expect(mails.map(({ to, subject }) => `${to}: ${subject}`).toSorted()).toEqual([
    expect.stringMatching(/^boss@example\.org: hearth\.test: The disk of .* is 95 % full$/),
    expect.stringMatching(/^boss@example\.org: hearth\.test: over: The disk/),
    expect.stringMatching(/^ops@example\.org: hearth\.test: The disk/),
    expect.stringMatching(/^ops@example\.org: hearth\.test: over: The disk/),
  ])
  expect(posted.map(({ path, body }) => [path, body.status, body.kind, body.value])).toEqual([
    ['/alerts', 'begun', 'disk', 95],
    ['/alerts', 'ended', 'disk', 95],
  ])
  expect(posted[0]!.body).toMatchObject({
    server: 'hearth.test',
    advice: expect.stringContaining('disk'),
    ended_ts: null,
  })
  const { rows } = await sql<{ json: string; user_id: string }>`select json, user_id from events
    join room_memberships using (room_id) where type = 'm.room.message' and membership = 'invite' order by events.event_nid`.execute(
    app.database.sql,
  )
  expect(rows.map(({ user_id }) => user_id).toSorted()).toEqual([...admins, ...admins].toSorted())
  expect(rows[0]!.json).toContain('95 % full')
  expect(rows.at(-1)!.json).toContain('This alert has ended')
})

test('an alert that is sent again reaches an administrator once, and a deactivated one not at all', async () => {
  values = FULL
  await run(1)
  const { alert_notice: send } = jobHandlers(app)
  const payload = { alert_nid: 1, has_ended: false, user_id: admins[0]! }
  await send!(payload)
  await send!(payload)
  await sql`update users set deactivated_ts = 1 where user_id = ${admins[1]!}`.execute(app.database.sql)
  await send!({ ...payload, user_id: admins[1]! })
  const { rows } = await sql`select 1 from events where type = 'm.room.message'`.execute(app.database.sql)
  expect(rows).toHaveLength(1)
})

test('a webhook that fails gets the alert again', async () => {
  status = 500
  values = FULL
  await run(1)
  const handlers = jobHandlers(app)
  const payload = { alert_nid: 1, has_ended: false }
  await expect(handlers.alert_webhook!(payload)).rejects.toThrow('answers 500')
  status = 204
  await handlers.alert_webhook!(payload)
  expect(posted).toHaveLength(2)
})

test.each<[string, Values, string[]]>([
  ['the event loop is late', { event_loop_delay_p99: 0.4 }, ['event_loop_delay']],
  ['memory is used', { machine_memory_used: 97, machine_memory_bytes: 100 }, ['memory']],
  ['callers wait for connections', { pool_taken: 10, pool_wait_seconds: 3 }, ['pool_wait']],
  ['a certificate expires', { listener_certificate_left: 86_400 * 3 }, ['certificate']],
  ['all is just below its limit', { event_loop_delay_p99: 0.2, disk_bytes: 100, disk_used: 89 }, []],
])('%s: %j', async (_name, measured, kinds) => {
  values = { ...FINE, ...measured }
  await run(5)
  expect((await listRecentAlerts(app, 100)).map(({ kind }) => kind)).toEqual(kinds)
})

test('a short delay of the event loop is no reason for an alert', async () => {
  const collection = createCollection({ ...app, metrics })
  for (let minute = 0; minute < 10; minute++) {
    values = { ...FINE, event_loop_delay_p99: minute % 2 === 0 ? 2 : 0 }
    await run(1, collection)
  }
  expect(await alerts()).toEqual([])
})

test('most remote servers do not respond', async () => {
  await sql`insert into federation_destinations (destination, failures, failing_since)
    select 's' || n, case when n > 8 then 3 else 0 end, case when n > 8 then ${app.clock.now()}::bigint end
    from generate_series(1, 20) as n`.execute(app.database.sql)
  await run(1)
  expect(await alerts()).toEqual(['failing_servers holds'])
})

test('a job that nobody runs makes the queue old', async () => {
  const due = app.clock.now()
  await sql`insert into jobs (kind, key, payload, created_ts, due_ts) values ('x', 'x', '{}', ${due}::bigint, ${due}::bigint)`.execute(
    app.database.sql,
  )
  await run(9)
  expect(await alerts()).toEqual([])
  await run(2)
  expect(await alerts()).toEqual(['queue_age holds'])
})

test('a limit of 0 turns an alert off, and so does enabled for all', async () => {
  values = FULL
  app.config.alerts.disk_used = 0
  await run(1)
  app.config.alerts.disk_used = 90
  app.config.alerts.enabled = false
  await run(1)
  expect(await alerts()).toEqual([])
})
