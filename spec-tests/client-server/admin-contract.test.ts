import { beforeAll, expect, inject, test } from 'vitest'
import { registerAdmin, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, roomPath } from '../harness/rooms.ts'

/** Holds each path of Synapse's admin API to its fields and their types, of which tools rely on. */
const { url, sharedSecret } = inject('homeserver')

let admin: TestUser
let values: Record<string, string>
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
  const user = await registerUser(url)
  const room = await createRoom(user, { name: 'Contract' })
  await joinRoom(room, admin)
  const event = await sendText(user, room, 'reported')
  await admin.post(roomPath(room, eventPath('report', event)), { reason: 'r' })
  await admin.post(`/_matrix/client/v3/users/${encodeURIComponent(user.userId)}/report`, { reason: 'r' })
  const { token } = await admin.post('/_synapse/admin/v1/registration_tokens/new', {})
  const { event_reports: reports } = await admin.get('/_synapse/admin/v1/event_reports?limit=1')
  const { user_reports: ofUsers } = await admin.get('/_synapse/admin/v1/user_reports?limit=1')
  const { devices } = await admin.get(`/_synapse/admin/v2/users/${encodeURIComponent(user.userId)}/devices`)
  values = {
    ...{ user: user.userId, room, event, token, report: `${reports[0].id}`, userReport: `${ofUsers[0].id}` },
    device: devices[0].device_id,
  }
})

const filled = (path: string) =>
  `/_synapse/admin/${path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? 'unknown'))}`

/**
 * Fields by path: `s` text, `n` number, `b` boolean, `a` array, `o` object; after `?` null is possible, too. `[…]` are
 * the fields of the items of the array before it.
 */
const ROOM =
  'room_id:s name:?s canonical_alias:?s joined_members:n joined_local_members:n version:s creator:s encryption:?s federatable:b public:b join_rules:?s guest_access:?s history_visibility:?s state_events:n room_type:?s'
const USER =
  'name:s displayname:?s avatar_url:?s is_guest:b admin:b deactivated:b shadow_banned:b locked:b erased:b suspended:b user_type:?s creation_ts:n last_seen_ts:?n'
const TOKEN = 'token:s uses_allowed:?n pending:n completed:n expiry_time:?n'
const REPORT =
  'id:n received_ts:n room_id:s name:?s canonical_alias:?s event_id:s user_id:s sender:s reason:?s score:?n'
const DEVICE = 'device_id:s display_name:?s last_seen_ip:?s last_seen_ts:?n last_seen_user_agent:?s user_id:s'

const GETS: Readonly<Record<string, string>> = {
  'v1/server_version': 'server_version:s',
  'v1/background_updates/status': 'enabled:b current_updates:o',
  'v1/background_updates/enabled': 'enabled:b',
  'v1/scheduled_tasks': 'scheduled_tasks:a',
  'v1/username_available?username=contract-free-name': 'available:b',
  'v1/statistics/users/media': 'users:a total:n',
  'v1/statistics/database/rooms': 'rooms:a',
  'v2/users': `users:a[${USER}] total:n`,
  'v3/users': `users:a[${USER}] total:n`,
  'v2/users/{user}': `${USER} appservice_id:?s consent_version:?s consent_ts:?n consent_server_notice_sent:?s threepids:a external_ids:a`,
  'v1/users/{user}/admin': 'admin:b',
  'v2/users/{user}/devices': `devices:a[${DEVICE}] total:n`,
  'v2/users/{user}/devices/{device}': DEVICE,
  'v1/whois/{user}': 'user_id:s devices:o',
  'v1/users/{user}/joined_rooms': 'joined_rooms:a total:n',
  'v1/users/{user}/memberships': 'memberships:o',
  'v1/users/{user}/pushers': 'pushers:a total:n',
  'v1/users/{user}/accountdata': 'account_data:o',
  'v1/users/{user}/media': 'media:a total:n',
  'v1/users/{user}/sent_invite_count?from_ts=0': 'invite_count:n',
  'v1/users/{user}/cumulative_joined_room_count?from_ts=0': 'cumulative_joined_room_count:n',
  'v1/users/{user}/override_ratelimit': '',
  'v1/experimental_features/{user}': 'features:o',
  'v1/register': 'nonce:s',
  'v1/rooms': `offset:n rooms:a[${ROOM}] total_rooms:n`,
  'v1/rooms/{room}': `${ROOM} topic:?s avatar:?s joined_local_devices:n forgotten:b tombstoned:b replacement_room:?s`,
  'v1/rooms/{room}/members': 'members:a total:n',
  'v1/rooms/{room}/state': 'state:a[type:s state_key:s sender:s content:o event_id:s room_id:s origin_server_ts:n]',
  'v1/rooms/{room}/messages?dir=b': 'start:s chunk:a[type:s sender:s content:o event_id:s room_id:s]',
  'v1/rooms/{room}/context/{event}': 'start:s end:s event:o events_before:a events_after:a state:a',
  'v1/rooms/{room}/timestamp_to_event?ts=0&dir=f': 'event_id:s origin_server_ts:n',
  'v1/rooms/{room}/hierarchy': 'rooms:a[room_id:s children_state:a num_joined_members:n]',
  'v1/rooms/{room}/block': 'block:b',
  'v1/rooms/{room}/forward_extremities': 'count:n results:a[event_id:s state_group:n depth:n received_ts:n]',
  'v1/fetch_event/{event}': 'event:o',
  'v1/event_reports': `event_reports:a[${REPORT}] total:n`,
  'v1/event_reports/{report}': `${REPORT} event_json:o`,
  'v1/user_reports': 'user_reports:a[id:n received_ts:n target_user_id:s user_id:s reason:?s] total:n',
  'v1/user_reports/{userReport}': 'id:n received_ts:n target_user_id:s user_id:s reason:?s',
  'v1/registration_tokens': `registration_tokens:a[${TOKEN}]`,
  'v1/registration_tokens/{token}': TOKEN,
  'v1/federation/destinations': 'destinations:a total:n',
  'v1/room/{room}/media': 'local:a remote:a',
  'v1/media/quarantine_changes': 'next_batch:n changes:a',
}

test.each(Object.entries(GETS))('GET %s has its fields', async (path, fields) => {
  requireFields(await admin.get(filled(path)), fields)
})

/** Unknown objects: Element Admin shows exactly this answer as "not found". */
const UNKNOWN = [
  ...['v2/users/@nobody:SERVER', 'v1/rooms/!none:example.org', 'v1/event_reports/99999999', 'v1/user_reports/99999999'],
  ...['v1/registration_tokens/none', 'v1/user/redact_status/none', 'v2/rooms/delete_status/none'],
  ...['v2/rooms/!none:example.org/delete_status', 'v1/purge_history_status/none', 'v1/fetch_event/$none'],
  ...['v1/federation/destinations/none.example.org', 'v1/federation/destinations/none.example.org/rooms'],
  ...['v1/auth_providers/none/users/none', 'v1/threepid/email/users/none@example.org'],
]
test.each(UNKNOWN)('GET %s is not found', async (path) => {
  const { status, body } = await admin.ask('GET', filled(path.replace('SERVER', admin.userId.replace(/^.*?:/, ''))))
  expect([status, body.errcode]).toEqual([404, 'M_NOT_FOUND'])
})

test('an unknown path is M_UNRECOGNIZED', async () => {
  const { status, body } = await admin.ask('GET', '/_synapse/admin/v1/nothing')
  expect([status, body.errcode]).toEqual([404, 'M_UNRECOGNIZED'])
})

function requireFields(body: Record<string, unknown>, fields: string): void {
  for (const [, name, nullable, kind, items] of fields.matchAll(/(\w+):(\??)([snbao])(?:\[([^\]]*)\])?/g)) {
    const value = body[name!]
    if (nullable && value === null) continue
    expect(kindOf(value), `${name} of ${JSON.stringify(body).slice(0, 300)}`).toBe(kind)
    if (items === undefined) continue
    expect((value as unknown[]).length, name).toBeGreaterThan(0)
    for (const item of value as Record<string, unknown>[]) requireFields(item, items)
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a'
  return value === null ? 'null' : typeof value === 'undefined' ? 'absent' : (typeof value)[0]!
}
