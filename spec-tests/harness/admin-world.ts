import { pollUntil } from '../../testing/poll-until.ts'
import { startAppservice, type TestAppservice } from './appservice.ts'
import { registerAdmin, registerUser, type TestUser } from './client.ts'
import { startHearth, type TestHearth } from './hearth.ts'
import type { Visitor } from './page-visitor.ts'
import { createRoom, eventPath, joinRoom, roomPath, sendEvent, v3 } from './rooms.ts'

/** A server with something in every list of the pages for administrators. */
export type AdminWorld = {
  hearth: TestHearth
  admin: TestUser
  /** A user with devices, rooms and files. */
  user: TestUser
  room: string
  /** The ID of a file of the user. */
  mediaId: string
  bridge: TestAppservice
  dispose(): Promise<void>
}

/** Display names that could break a page. */
const NAMES = {
  anna: 'Anna',
  html: '<script>alert(1)</script><b>"bold" & \'quoted\'',
  arabic: 'عبد الرحمن المنصوري (مسؤول)',
  long: 'W'.repeat(200),
  override: '\u202Egnihtemos\u202E backwards',
}

/** Starts the server and fills it. */
export async function createAdminWorld(): Promise<AdminWorld> {
  const bridge = await startAppservice('bridge')
  const hearth = await startHearth({ serverName: 'example.org', config: { appservices: [bridge.registrationFile] } })
  const admin = await registerAdmin(hearth.url, undefined, 'admin')
  const users: TestUser[] = []
  for (const [name, displayname] of Object.entries(NAMES)) {
    const user = await registerUser(hearth.url, name === 'long' ? `long-${'name'.repeat(40)}` : name)
    await user.put(`${v3}/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname })
    users.push(user)
  }
  const [user, spammer] = users as [TestUser, TestUser]
  const room = await createRoom(user, { name: 'Allotment committee' })
  await createRoom(user, { name: NAMES.arabic })
  await joinRoom(room, spammer)
  const mediaId = await upload(user, `${'holiday'.repeat(20)}.txt`)
  await report(user, spammer, room)
  await act(admin, { spammer, mediaId })
  const dispose = async () => {
    await hearth.dispose()
    await bridge.dispose()
  }
  return { hearth, admin, user, room, mediaId, bridge, dispose }
}

async function upload({ url, accessToken }: TestUser, filename: string): Promise<string> {
  const response = await fetch(`${url}/_matrix/media/v3/upload?filename=${encodeURIComponent(filename)}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'text/plain' },
    body: 'A file',
  })
  const { content_uri: uri } = (await response.json()) as { content_uri: string }
  return uri.split('/').at(-1)!
}

async function report(user: TestUser, spammer: TestUser, room: string): Promise<void> {
  const event = await sendEvent(spammer, room, { msgtype: 'm.text', body: 'Buy <b>cheap</b> watches!' })
  const reason = 'Advertisement, again and again'
  await user.post(roomPath(room, eventPath('report', event)), { reason })
  await user.post(roomPath(room, 'report'), { reason: 'x'.repeat(300) })
  await user.post(`${v3}/users/${encodeURIComponent(spammer.userId)}/report`, { reason })
}

async function act(admin: TestUser, { spammer, mediaId }: { spammer: TestUser; mediaId: string }): Promise<void> {
  const synapse = '/_synapse/admin/v1'
  await admin.put(`${synapse}/suspend/${encodeURIComponent(spammer.userId)}`, { suspend: true })
  await admin.post(`${synapse}/media/quarantine/example.org/${mediaId}`)
  await admin.post(`${synapse}/registration_tokens/new`, { token: 'for-the-committee', uses_allowed: 20 })
  await admin.post(`${synapse}/user/${encodeURIComponent(spammer.userId)}/redact`, { rooms: [] })
  await admin.put('/_hearth/admin/v1/reports/1', { note: 'I have told the user to stop.' })
}

/** Returns the pages for administrators, by names. */
export function adminPaths({ user, mediaId, room }: AdminWorld): Record<string, string> {
  const own = `/admin/users/${encodeURIComponent(user.userId)}`
  const ownRoom = `/admin/rooms/${encodeURIComponent(room)}`
  const file = `/admin/media/example.org/${mediaId}`
  return {
    overview: '/admin',
    users: '/admin/users?sort=-creation_ts',
    'new user': '/admin/users/new',
    user: `${own}?done=lock`,
    deactivate: `${own}/deactivate`,
    edit: `${own}/edit`,
    rooms: '/admin/rooms',
    room: ownRoom,
    members: `${ownRoom}/members`,
    'state of a room': `${ownRoom}/state`,
    'check state': `${ownRoom}/check-state`,
    'refused events': '/admin/rejected-events',
    'delete room': `${ownRoom}/delete`,
    alerts: '/admin/alerts',
    reports: '/admin/reports?state=all',
    report: '/admin/reports/1',
    media: '/admin/media',
    'media of a user': `${own}/media`,
    file,
    'old uploads': '/admin/media/delete-uploads',
    tokens: '/admin/tokens',
    'edit token': '/admin/tokens/for-the-committee/edit',
    notices: `/admin/notices?user=${encodeURIComponent(user.userId)}`,
    federation: '/admin/federation',
    'retry server': '/admin/federation/gone.test/retry',
    appservices: '/admin/appservices',
    tasks: '/admin/tasks',
    audit: '/admin/audit',
    load: '/admin/load',
    routes: '/admin/load?view=routes',
    'all values': '/admin/load/cpu',
  }
}

/** Waits until the server has collected figures, of which the page of the load has charts. */
export async function untilFigures(visitor: Visitor): Promise<void> {
  await pollUntil('figures are collected', async () => (await visitor.open('/admin/load')).text.includes('data-chart'))
}
