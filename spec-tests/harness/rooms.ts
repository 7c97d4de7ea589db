import { pollUntil } from '../../testing/poll-until.ts'
import { outcomeOf, registerUser, sendText, type TestUser } from './client.ts'

export const v1 = '/_matrix/client/v1'
export const v3 = '/_matrix/client/v3'

/** Returns a path below a room of the client API. */
export function roomPath(roomId: string, rest: string, base = v3): string {
  return `${base}/rooms/${encodeURIComponent(roomId)}/${rest}`
}

/** Returns a path below an event of a room. */
export function eventPath(verb: string, eventId: string): string {
  return `${verb}/${encodeURIComponent(eventId)}`
}

/** Returns whether a user gets an event of a room. */
export async function hasEvent(
  user: TestUser,
  { room_id, event_id }: { room_id: string; event_id: string },
): Promise<boolean> {
  return (await user.ask('GET', roomPath(room_id, eventPath('event', event_id)))).status === 200
}

/** Creates a room, public unless `options` differ, and returns its ID. */
export async function createRoom(user: TestUser, options: object = {}): Promise<string> {
  return (await user.post(`${v3}/createRoom`, { preset: 'public_chat', ...options })).room_id
}

/** Joins users to a room, one after the other. */
export async function joinRoom(roomId: string, ...users: TestUser[]): Promise<void> {
  for (const user of users) await user.post(roomPath(roomId, 'join'))
}

/** Creates two users in a new room of the first. */
export async function roomOfTwo(
  url: string,
  options: object = {},
): Promise<{ alice: TestUser; bob: TestUser; roomId: string }> {
  const [alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  const roomId = await createRoom(alice, options)
  await joinRoom(roomId, bob)
  return { alice, bob, roomId }
}

/** Sends a state event, and returns its ID. */
export async function sendState(
  user: TestUser,
  roomId: string,
  { type, key = '', content }: { type: string; key?: string; content: object },
): Promise<string> {
  const path = roomPath(roomId, `state/${encodeURIComponent(type)}/${encodeURIComponent(key)}`)
  return (await user.put(path, content)).event_id
}

let transactions = 0

/** Sends an event, and returns its ID. */
export async function sendEvent(user: TestUser, roomId: string, content: object, type = 'm.room.message') {
  const txnId = `r${process.pid}.${++transactions}`
  return (await user.put(roomPath(roomId, `send/${type}/${txnId}`), content)).event_id as string
}

/** Returns the content of a message that relates to another event. */
export function relating(rel_type: string, event_id: string, more: object = {}): object {
  return { msgtype: 'm.text', body: 'related', 'm.relates_to': { rel_type, event_id, ...more } }
}

/** Sends messages with these bodies, and returns their IDs. */
export async function sendTexts(user: TestUser, roomId: string, bodies: readonly string[]): Promise<string[]> {
  const ids: string[] = []
  for (const body of bodies) ids.push(await sendText(user, roomId, body))
  return ids
}

/** An event in the client format. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape
export type ClientEvent = Record<string, any>

/** Returns the whole history of a room that a user gets by paginating, oldest first. */
export async function historyOf(user: TestUser, roomId: string, query = ''): Promise<ClientEvent[]> {
  const events: ClientEvent[] = []
  let from = ''
  do {
    const page = await user.get(roomPath(roomId, `messages?dir=b&limit=50${from && `&from=${from}`}${query}`))
    events.push(...page.chunk)
    from = page.end
  } while (from)
  return events.reverse()
}

/** Returns the bodies of messages among events. */
export function bodiesOf(events: readonly ClientEvent[]): string[] {
  return events.flatMap(({ content }) => content.body ?? [])
}

/** Returns a joined room from an initial sync. */
// biome-ignore lint/suspicious/noExplicitAny: see ClientEvent
export async function syncedRoom(user: TestUser, roomId: string, query = ''): Promise<any> {
  return (await user.get(`${v3}/sync?${query}`)).rooms.join[roomId]
}

/** Continues to sync from a token until a result is found, and returns it. */
export async function syncUntil<Result>(
  user: TestUser,
  since: string,
  // biome-ignore lint/suspicious/noExplicitAny: see ClientEvent
  find: (body: any) => Result | undefined | false,
): Promise<Result> {
  let next = since
  return pollUntil('a sync tells it', async () => {
    const body = await user.get(`${v3}/sync?since=${next}&timeout=1000`)
    next = body.next_batch
    return find(body)
  })
}

/** Sets a user's ignored users. */
export async function ignore(user: TestUser, ...others: TestUser[]): Promise<void> {
  await user.put(`${v3}/user/${encodeURIComponent(user.userId)}/account_data/m.ignored_user_list`, {
    ignored_users: Object.fromEntries(others.map(({ userId }) => [userId, {}])),
  })
}

/** Returns the status and errcode of a refused request. */
export async function refusal(
  user: TestUser,
  method: string,
  path: string,
  body?: object,
): Promise<[number, string | undefined]> {
  return outcomeOf(user, method, path, body ?? (method === 'GET' ? undefined : {}))
}
