import { ENDPOINTS } from '../api/endpoints.ts'
import type { RoomId } from '../core/ids.ts'
import { startClientApi, type TestClient } from './client-api.ts'

type SyncOptions = { since?: string; timeout?: number; filter?: object | string; [parameter: string]: unknown }
type Event = { type: string; state_key?: string; sender: string; event_id: string; content: Record<string, unknown> }

/** Starts the client API on a database of its own; `overrides` as for `createTestApp`. */
export const startSyncApi = (overrides: Parameters<typeof startClientApi>[0] = {}) =>
  startClientApi({ endpoints: ENDPOINTS.client, ...overrides })

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export function sync(client: TestClient, { filter, ...options }: SyncOptions = {}): Promise<any> {
  const query = new URLSearchParams(
    Object.entries(options).map(([name, value]) => [name, String(value)] as [string, string]),
  )
  if (filter !== undefined) query.set('filter', typeof filter === 'string' ? filter : JSON.stringify(filter))
  return client.ok('GET', `/sync?${query}`)
}

/** Returns the token of a sync made now. */
export async function tokenOf(client: TestClient): Promise<string> {
  return (await sync(client)).next_batch
}

/** Returns the changes since a token. */
export function syncSince(client: TestClient, since: string, options: SyncOptions = {}) {
  return sync(client, { since, ...options })
}

let sent = 0
export async function send(client: TestClient, roomId: RoomId, body: string): Promise<string> {
  const path = `/rooms/${roomId}/send/m.room.message/sync${++sent}`
  return (await client.ok('PUT', path, { msgtype: 'm.text', body })).event_id
}

export async function setState(client: TestClient, roomId: RoomId, type: string, content: object, stateKey = '') {
  return (await client.ok('PUT', `/rooms/${roomId}/state/${type}/${stateKey}`, content)).event_id as string
}

/** Performs a membership action of one user on another, or on themselves. */
export function act(client: TestClient, roomId: RoomId, action: string, target?: TestClient) {
  return client.ok('POST', `/rooms/${roomId}/${action}`, target ? { user_id: target.userId } : {})
}

export function setAccountData(client: TestClient, type: string, content: object, roomId?: RoomId) {
  const inRoom = roomId === undefined ? '' : `/rooms/${roomId}`
  return client.ok('PUT', `/user/${client.userId}${inRoom}/account_data/${type}`, content)
}

export function ignore(client: TestClient, ...users: TestClient[]) {
  const ignored_users = Object.fromEntries(users.map(({ userId }) => [userId, {}]))
  return setAccountData(client, 'm.ignored_user_list', { ignored_users })
}

/** Abbreviates events: the body of a message, the membership and localpart of a member event, otherwise the type. */
export function brief(section: { events: Event[] } | undefined): string[] | undefined {
  return section?.events.map(({ type, state_key, content }) => {
    if (type === 'm.room.message') return String(content.body)
    return type === 'm.room.member' ? `${content.membership} ${state_key!.slice(1).split(':')[0]}` : type
  })
}
