import { registerAdmin, registerUser, type TestUser } from './client.ts'
import { startHearth, type TestHearth } from './hearth.ts'
import { createRoom, joinRoom, sendEvent } from './rooms.ts'

/** A server with something in every list of the pages for administrators. */
export type AdminWorld = {
  hearth: TestHearth
  admin: TestUser
  /** A user with a long name, devices, rooms and media. */
  user: TestUser
  room: string
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
  const hearth = await startHearth({ serverName: 'example.org' })
  const admin = await registerAdmin(hearth.url)
  const users = new Map<string, TestUser>()
  for (const [name, displayname] of Object.entries(NAMES)) {
    const user = await registerUser(hearth.url, name === 'long' ? `long-${'name'.repeat(40)}` : name)
    await user.put(`/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}/displayname`, { displayname })
    users.set(name, user)
  }
  const user = users.get('anna')!
  const room = await createRoom(user, { name: 'Allotment committee' })
  await createRoom(user, { name: NAMES.arabic })
  await joinRoom(room, users.get('html')!)
  const event = await sendEvent(users.get('html')!, room, { msgtype: 'm.text', body: 'Buy <b>cheap</b> watches!' })
  const reason = 'Advertisement, again and again'
  await user.post(`/_matrix/client/v3/rooms/${encodeURIComponent(room)}/report/${encodeURIComponent(event)}`, {
    reason,
  })
  await user.post(`/_matrix/client/v3/rooms/${encodeURIComponent(room)}/report`, { reason: 'x'.repeat(300) })
  await user.post(`/_matrix/client/v3/users/${encodeURIComponent(users.get('html')!.userId)}/report`, { reason })
  return { hearth, admin, user, room, dispose: () => hearth.dispose() }
}

/** Returns the pages for administrators, by names. */
export function adminPaths({ user }: AdminWorld): Record<string, string> {
  const own = `/admin/users/${encodeURIComponent(user.userId)}`
  return {
    overview: '/admin',
    users: '/admin/users?sort=-creation_ts',
    'users, none': '/admin/users?q=nobody',
    'new user': '/admin/users/new',
    user: own,
    deactivate: `${own}/deactivate`,
    edit: `${own}/edit`,
    redact: `${own}/redact`,
    audit: '/admin/audit',
  }
}
