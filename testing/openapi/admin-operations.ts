import type { Operation } from './operations.ts'

const DELETION =
  'new_room_user_id:string room_name:string message:string block:boolean purge:boolean force_purge:boolean'

/**
 * Operations for administrators, by method and path. Their fields have the JSON type that follows the colon; `!`: the
 * field is required. After `?`: parameters of the query.
 */
const ADMIN: Readonly<Record<string, string>> = {
  'GET /_hearth/admin/v1/figures ?of ?range ?from ?to ?step ?each_process ?process ?top': '',
  'GET /_hearth/admin/v1/alerts ?limit': '',
  'GET /_hearth/admin/v1/audit_log ?from ?limit ?dir ?actor ?target': '',
  'DELETE /_hearth/admin/v1/users/{userId}/second_factors': '',
  'GET /_hearth/admin/v1/reports ?from ?limit ?dir ?kind ?state ?room_id ?user_id ?target_user_id': '',
  'GET /_hearth/admin/v1/reports/{reportId}': '',
  'PUT /_hearth/admin/v1/reports/{reportId}': 'state:string note:string',
  'DELETE /_hearth/admin/v1/reports/{reportId}': '',
  'POST /_hearth/admin/v1/users/{userId}/erase': 'redact_events:boolean reason:string',
  'GET /_hearth/admin/v1/users/{userId}/erase': '',
  'GET /_synapse/admin/v2/users ?from ?limit ?name ?user_id ?guests ?deactivated ?locked ?admins ?order_by ?dir': '',
  'GET /_synapse/admin/v3/users ?from ?limit ?name ?user_id ?guests ?deactivated ?locked ?admins ?order_by ?dir': '',
  'GET /_synapse/admin/v1/search_users/{userId} ?term': '',
  'GET /_synapse/admin/v2/users/{userId}': '',
  'PUT /_synapse/admin/v2/users/{userId}':
    'password:string logout_devices:boolean displayname:string threepids:array external_ids:array admin:boolean',
  'POST /_synapse/admin/v1/deactivate/{userId}': 'erase:boolean',
  'PUT /_synapse/admin/v1/suspend/{userId}': 'suspend:boolean!',
  'POST /_synapse/admin/v1/users/{userId}/shadow_ban': '',
  'DELETE /_synapse/admin/v1/users/{userId}/shadow_ban': '',
  'GET /_synapse/admin/v1/users/{userId}/admin': '',
  'PUT /_synapse/admin/v1/users/{userId}/admin': 'admin:boolean!',
  'POST /_synapse/admin/v1/reset_password/{userId}': 'new_password:string! logout_devices:boolean',
  'POST /_synapse/admin/v1/users/{userId}/login': 'valid_until_ms:integer',
  'GET /_synapse/admin/v1/users/{userId}/override_ratelimit': '',
  'POST /_synapse/admin/v1/users/{userId}/override_ratelimit': 'messages_per_second:integer burst_count:integer',
  'DELETE /_synapse/admin/v1/users/{userId}/override_ratelimit': '',
  'POST /_synapse/admin/v1/users/{userId}/_allow_cross_signing_replacement_without_uia': '',
  'GET /_synapse/admin/v2/users/{userId}/devices': '',
  'POST /_synapse/admin/v2/users/{userId}/devices': 'device_id:string! display_name:string',
  'GET /_synapse/admin/v2/users/{userId}/devices/{deviceId}': '',
  'PUT /_synapse/admin/v2/users/{userId}/devices/{deviceId}': 'display_name:string',
  'DELETE /_synapse/admin/v2/users/{userId}/devices/{deviceId}': '',
  'POST /_synapse/admin/v2/users/{userId}/delete_devices': 'devices:array!',
  'GET /_synapse/admin/v1/whois/{userId}': '',
  'GET /_synapse/admin/v1/users/{userId}/joined_rooms': '',
  'GET /_synapse/admin/v1/users/{userId}/memberships': '',
  'GET /_synapse/admin/v1/users/{userId}/pushers': '',
  'GET /_synapse/admin/v1/users/{userId}/accountdata': '',
  'GET /_synapse/admin/v1/users/{userId}/sent_invite_count ?from_ts': '',
  'GET /_synapse/admin/v1/users/{userId}/cumulative_joined_room_count ?from_ts': '',
  'GET /_synapse/admin/v1/auth_providers/{provider}/users/{externalId}': '',
  'GET /_synapse/admin/v1/threepid/{medium}/users/{address}': '',
  'GET /_synapse/admin/v1/experimental_features/{userId}': '',
  'PUT /_synapse/admin/v1/experimental_features/{userId}': 'features:object!',
  'POST /_synapse/admin/v1/user/{userId}/redact':
    'rooms:array! reason:string limit:integer use_admin:boolean before_ts:integer after_ts:integer',
  'GET /_synapse/admin/v1/user/redact_status/{redactId}': '',
  'GET /_synapse/admin/v1/event_reports ?from ?limit ?dir ?user_id ?room_id ?event_sender_user_id': '',
  'GET /_synapse/admin/v1/event_reports/{reportId}': '',
  'DELETE /_synapse/admin/v1/event_reports/{reportId}': '',
  'GET /_synapse/admin/v1/user_reports ?from ?limit ?dir ?user_id ?target_user_id': '',
  'GET /_synapse/admin/v1/user_reports/{reportId}': '',
  'DELETE /_synapse/admin/v1/user_reports/{reportId}': '',
  'GET /_synapse/admin/v1/registration_tokens ?valid': '',
  'POST /_synapse/admin/v1/registration_tokens/new':
    'token:string length:integer uses_allowed:integer expiry_time:integer',
  'GET /_synapse/admin/v1/registration_tokens/{token}': '',
  'PUT /_synapse/admin/v1/registration_tokens/{token}': 'uses_allowed:integer expiry_time:integer',
  'DELETE /_synapse/admin/v1/registration_tokens/{token}': '',
  'DELETE /_synapse/admin/v1/rooms/{roomId}': DELETION,
  'DELETE /_synapse/admin/v2/rooms/{roomId}': DELETION,
  'GET /_synapse/admin/v2/rooms/{roomId}/delete_status': '',
  'GET /_synapse/admin/v2/rooms/delete_status/{deleteId}': '',
  'GET /_synapse/admin/v1/rooms ?from ?limit ?order_by ?dir ?search_term ?public_rooms ?empty_rooms': '',
  'GET /_synapse/admin/v1/rooms/{roomId}': '',
  'POST /_synapse/admin/v1/purge_history/{roomId}':
    'purge_up_to_event_id:string purge_up_to_ts:integer delete_local_events:boolean',
  'POST /_synapse/admin/v1/purge_history/{roomId}/{eventId}': 'delete_local_events:boolean',
  'GET /_synapse/admin/v1/purge_history_status/{purgeId}': '',
  'GET /_synapse/admin/v1/rooms/{roomId}/block': '',
  'PUT /_synapse/admin/v1/rooms/{roomId}/block': 'block:boolean!',
  'GET /_synapse/admin/v1/username_available ?username': '',
  'GET /_synapse/admin/v1/statistics/database/rooms': '',
  'GET /_synapse/admin/v1/background_updates/status': '',
  'GET /_synapse/admin/v1/background_updates/enabled': '',
  'POST /_synapse/admin/v1/background_updates/enabled': 'enabled:boolean!',
  'GET /_synapse/admin/v1/scheduled_tasks ?action_name ?resource_id ?status ?max_timestamp': '',
  'GET /_synapse/admin/v1/server_version': '',
  'POST /_synapse/admin/v1/account_validity/validity': 'user_id:string! expiration_ts:integer',
  'POST /_synapse/admin/v1/send_server_notice': 'user_id:string! content:object!',
  'PUT /_synapse/admin/v1/send_server_notice/{txnId}': 'user_id:string! content:object!',
  'GET /_synapse/admin/v1/room/{roomId}/media': '',
  'POST /_synapse/admin/v1/room/{roomId}/media/quarantine': '',
  'POST /_synapse/admin/v1/quarantine_media/{roomId}': '',
  'POST /_synapse/admin/v1/user/{userId}/media/quarantine': '',
  'POST /_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}': '',
  'POST /_synapse/admin/v1/media/unquarantine/{serverName}/{mediaId}': '',
  'POST /_synapse/admin/v1/media/protect/{mediaId}': '',
  'POST /_synapse/admin/v1/media/unprotect/{mediaId}': '',
  'GET /_synapse/admin/v1/media/{serverName}/{mediaId}': '',
  'DELETE /_synapse/admin/v1/media/{serverName}/{mediaId}': '',
  'GET /_synapse/admin/v1/media/quarantine_changes ?from': '',
  'POST /_synapse/admin/v1/media/delete ?before_ts ?size_gt ?keep_profiles': '',
  'POST /_synapse/admin/v1/media/{serverName}/delete ?before_ts ?size_gt ?keep_profiles': '',
  'POST /_synapse/admin/v1/purge_media_cache ?before_ts': '',
  'GET /_synapse/admin/v1/users/{userId}/media ?from ?limit ?order_by ?dir': '',
  'DELETE /_synapse/admin/v1/users/{userId}/media ?from ?limit ?order_by ?dir': '',
  'GET /_synapse/admin/v1/statistics/users/media ?from ?limit ?order_by ?dir ?from_ts ?until_ts ?search_term': '',
  'GET /_hearth/admin/v1/media/content_rules ?from ?limit': '',
  'PUT /_hearth/admin/v1/media/content_rules/{sha256}': 'verdict:string! reason:string',
  'DELETE /_hearth/admin/v1/media/content_rules/{sha256}': '',
  'GET /_hearth/admin/v1/media/quarantined_servers ?from ?limit': '',
  'PUT /_hearth/admin/v1/media/quarantined_servers/{serverName}': 'reason:string',
  'DELETE /_hearth/admin/v1/media/quarantined_servers/{serverName}': '',
}

export const ADMIN_OPERATIONS: readonly Operation[] = Object.entries(ADMIN).map(([operation, fields]) => {
  const [method = '', path = '', ...query] = operation.split(' ')
  const body = Object.fromEntries(
    fields.split(' ').flatMap((field) => {
      const [, name, type, mark] = /^(\w+):(\w+)(!?)$/.exec(field) ?? []
      return name && type ? [[name, { types: [type], ...(mark && { required: true as const }) }]] : []
    }),
  )
  const auth = path.endsWith('/server_version') ? 'none' : 'user'
  return { method, path, auth, query: query.map((name) => name.slice(1)), ...(fields !== '' && { body }) }
})
