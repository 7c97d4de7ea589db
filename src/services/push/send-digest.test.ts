import { afterAll, beforeAll, expect, test } from 'vitest'
import { roomEndpoints } from '../../api/client/room-endpoints.ts'
import { roomReadingEndpoints } from '../../api/client/room-reading-endpoints.ts'
import type { App } from '../../app.ts'
import type { RoomId } from '../../core/ids.ts'
import { fixedClock } from '../../infra/clock.ts'
import type { Mail } from '../../infra/mail/mailer.ts'
import { enqueuePushes } from '../../storage/push/push-queue.ts'
import { loadPushers, storePusher } from '../../storage/push/pushers.ts'
import { loadUserMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { loadEventsById } from '../../storage/rooms/timeline/events.ts'
import { storeAccountData } from '../../storage/users/account-data.ts'
import { startClientApi, type TestClient } from '../../testing/client-api.ts'
import { sendDigest } from './send-digest.ts'

const MINUTE = 60_000
let api: Awaited<ReturnType<typeof startClientApi>>
let app: App & { clock: ReturnType<typeof fixedClock> }
let sent: Mail[]
let alice: TestClient
let bob: TestClient
let roomId: RoomId
let pusherNid: number

beforeAll(async () => {
  const clock = fixedClock(Date.now())
  api = await startClientApi({
    endpoints: [...roomEndpoints, ...roomReadingEndpoints],
    config: { email: { smtp_url: 'smtp://localhost', from: 'hearth@hearth.test' } },
    mailer: { send: async (mail: Mail) => void sent.push(mail), close: () => {} },
    // Alice's events get the time of this clock.
    clock,
  })
  app = { ...api.app, clock }
  ;[alice, bob] = await Promise.all([api.client('alice'), api.client('bob')])
  roomId = await alice.createRoom({ preset: 'public_chat', name: 'Tea' })
  await bob.ok('POST', `/rooms/${roomId}/join`)
  const names = { app_display_name: 'Mail', device_display_name: 'Mail', profile_tag: null, lang: 'en', data: '{}' }
  const pusher = { user_id: bob.userId, app_id: 'm.email', pushkey: 'bob@example.org', kind: 'email', ...names }
  await app.database.write((tx) => storePusher(tx, { ...pusher, token_hash: null, device_id: null, pushkey_ts: 0 }))
  pusherNid = (await loadPushers(app.database, bob.userId))[0]!.pusher_nid
})
afterAll(() => api.close())

/** Sends a message of Alice, which is queued for Bob's pusher. */
async function say(body: string): Promise<string> {
  const { event_id: eventId } = await alice.ok('PUT', `/rooms/${roomId}/send/m.room.message/${body}`, {
    msgtype: 'm.text',
    body,
  })
  const [event] = await loadEventsById(app.database, [eventId])
  const push = { pusher_nid: pusherNid, event_nid: event!.event_nid, tweaks: '{}', highlight: false }
  await app.database.write((tx) => enqueuePushes(tx, [push], app.clock.now()))
  return eventId
}

/** Checks again after each requested delay, and returns the minutes until a mail was sent. */
async function minutesUntilMail(): Promise<number> {
  const start = app.clock.now()
  sent = []
  for (let looks = 0; sent.length === 0 && looks < 5; looks++) {
    const outcome = await sendDigest(app, pusherNid)
    if (outcome && sent.length === 0) app.clock.advance(outcome.again - app.clock.now())
  }
  expect(sent).toHaveLength(1)
  return (app.clock.now() - start) / MINUTE
}

test('mails wait until nobody has read for a while, and come less often until somebody does', async () => {
  await say('one')
  expect(await minutesUntilMail()).toBe(10)
  await say('two')
  expect(await minutesUntilMail()).toBe(20)
  await say('three')
  expect(await minutesUntilMail()).toBe(40)
  expect(sent[0]!.text).toContain('three')
  expect(sent[0]!.text).not.toContain('two')
  for (let times = 0; times < 6; times++) {
    await say(`more ${times}`)
    await minutesUntilMail()
  }
  const last = await say('the day after')
  expect(await minutesUntilMail()).toBe(24 * 60)

  await bob.ok('POST', `/rooms/${roomId}/receipt/m.read/${encodeURIComponent(last)}`)
  await say('anew')
  expect(await minutesUntilMail()).toBe(10)
})

test('messages that were read in the meantime are left out, and if none is left there is no mail', async () => {
  const last = await say('soon read')
  sent = []
  expect(await sendDigest(app, pusherNid)).toEqual({ again: expect.any(Number) })
  await bob.ok('POST', `/rooms/${roomId}/receipt/m.read/${encodeURIComponent(last)}`)
  app.clock.advance(24 * 60 * MINUTE)
  expect(await sendDigest(app, pusherNid)).toBeUndefined()
  expect(sent).toEqual([])
})

test('an invite or message is left out when the user has since ignored its sender', async () => {
  const invited = await alice.createRoom({ preset: 'private_chat', invite: [bob.userId] })
  const [row] = await loadUserMemberships(app.database, bob.userId, ['invite'])
  expect(row!.room_id).toBe(invited)
  const push = { pusher_nid: pusherNid, event_nid: row!.event_nid, tweaks: '{}', highlight: false }
  await app.database.write((tx) => enqueuePushes(tx, [push], app.clock.now()))
  await say('unwanted')
  const content = JSON.stringify({ ignored_users: { [alice.userId]: {} } })
  const entry = { roomId: '' as const, type: 'm.ignored_user_list', content }
  await app.database.write((tx) => storeAccountData(tx, bob.userId, entry))
  sent = []
  app.clock.advance(24 * 60 * MINUTE)
  await sendDigest(app, pusherNid)
  expect(sent).toEqual([])
})
