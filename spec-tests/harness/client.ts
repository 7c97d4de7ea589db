import { createHmac, randomBytes } from 'node:crypto'
import { checkAnswer } from './check-answer.ts'
import { SHARED_SECRET } from './hearth.ts'

type JsonBody = Record<string, unknown>

/** A response of the homeserver. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type Answer = { status: number; body: any; headers: Headers }

/** A user of a homeserver, by plain HTTP. */
export type TestUser = {
  url: string
  userId: string
  deviceId: string
  accessToken: string
  /** Sends a request as this user; returns responses of every status. */
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  /** Sends a request that must succeed, and returns its body. */
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  get(path: string): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  put(path: string, body?: unknown): Promise<any>
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  post(path: string, body?: unknown): Promise<any>
}

let made = 0
/** Returns a localpart that no other test uses. */
export function uniqueName(prefix = 'user'): string {
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${++made}`
}

/**
 * Sends a request to a homeserver. Returns responses of every status, and checks each against the specification's
 * schema. `from`: the client address that a proxy reports.
 */
export async function ask(
  url: string,
  request: { method: string; path: string; body?: unknown; token?: string; from?: string },
): Promise<Answer> {
  const response = await fetch(url + request.path, {
    method: request.method,
    headers: {
      ...(request.body !== undefined && { 'Content-Type': 'application/json' }),
      ...(request.token !== undefined && { Authorization: `Bearer ${request.token}` }),
      ...(request.from !== undefined && { 'X-Forwarded-For': request.from }),
    },
    ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
  })
  const text = await response.text()
  const answer = { status: response.status, body: parse(text), headers: response.headers }
  checkAnswer(request, answer)
  return answer
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Registers a user with a unique name, by open registration. */
export async function registerUser(url: string, name = uniqueName(), more: JsonBody = {}): Promise<TestUser> {
  const body = { username: name, password: 'correct horse battery', ...more }
  const first = await ask(url, { method: 'POST', path: '/_matrix/client/v3/register', body })
  const answer =
    first.status === 401
      ? await ask(url, {
          method: 'POST',
          path: '/_matrix/client/v3/register',
          body: { ...body, auth: { type: 'm.login.dummy', session: first.body.session } },
        })
      : first
  if (answer.status !== 200) throw new Error(`registering ${name}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return asUser(url, answer.body)
}

/** Logs in a user of `registerUser` on a further device. */
export async function logIn(url: string, name: string, initial_device_display_name: string): Promise<TestUser> {
  const identifier = { type: 'm.id.user', user: name }
  const body = { type: 'm.login.password', identifier, password: 'correct horse battery', initial_device_display_name }
  return asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body)
}

/** Registers an administrator by the shared secret, as Synapse's tools do. */
export async function registerAdmin(
  url: string,
  sharedSecret = SHARED_SECRET,
  name = uniqueName('admin'),
): Promise<TestUser> {
  const path = '/_synapse/admin/v1/register'
  const { nonce } = (await ask(url, { method: 'GET', path })).body
  const password = 'correct horse battery'
  const mac = createHmac('sha1', sharedSecret).update([nonce, name, password, 'admin'].join('\0')).digest('hex')
  const answer = await ask(url, { method: 'POST', path, body: { nonce, username: name, password, admin: true, mac } })
  if (answer.status !== 200) throw new Error(`registering ${name}: ${answer.status} ${JSON.stringify(answer.body)}`)
  return asUser(url, answer.body)
}

/** Returns the user of a `/register` or `/login` response. */
export function asUser(url: string, login: { user_id: string; device_id: string; access_token: string }): TestUser {
  const asking = (method: string, path: string, body?: unknown) =>
    ask(url, { method, path, body, token: login.access_token })
  const succeed = async (method: string, path: string, body?: unknown) => {
    const answer = await asking(method, path, body)
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  return {
    url,
    userId: login.user_id,
    deviceId: login.device_id,
    accessToken: login.access_token,
    ask: asking,
    get: (path) => succeed('GET', path),
    put: (path, body = {}) => succeed('PUT', path, body),
    post: (path, body = {}) => succeed('POST', path, body),
  }
}

let transactions = 0

/** Returns the status of a request, and the errcode if it is refused. */
export async function outcomeOf(
  user: TestUser,
  method: string,
  path: string,
  body?: unknown,
): Promise<[status: number, errcode: string | undefined]> {
  const answer = await user.ask(method, path, body)
  return [answer.status, answer.body?.errcode]
}

/** Sends a text message, and returns its event ID. */
export async function sendText(
  user: TestUser,
  roomId: string,
  body: string,
  txnId = `t${process.pid}.${++transactions}`,
): Promise<string> {
  const path = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${txnId}`
  return (await user.put(path, { msgtype: 'm.text', body })).event_id
}

/** Returns plausible device keys; their signature is not checked here. */
export function deviceKeysOf({ userId, deviceId }: TestUser): object {
  const key = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return {
    user_id: userId,
    device_id: deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2'],
    keys: { [`ed25519:${deviceId}`]: key(32), [`curve25519:${deviceId}`]: key(32) },
    signatures: { [userId]: { [`ed25519:${deviceId}`]: key(64) } },
  }
}
