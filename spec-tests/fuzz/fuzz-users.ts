import { ask, asUser, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import type { Actor } from './known-values.ts'

/** The password of every user that the harness registers. */
export const PASSWORD = 'correct horse battery'

function actorOf(role: Actor['role'], { userId, deviceId, accessToken }: TestUser): Actor {
  return { role, userId, deviceId, token: accessToken }
}

export async function newUser(url: string): Promise<Actor> {
  return actorOf('user', await registerUser(url, uniqueName('fuzz')))
}

export async function newAdmin(url: string): Promise<Actor> {
  return actorOf('admin', await registerAdmin(url))
}

export async function newGuest(url: string): Promise<Actor> {
  const path = '/_matrix/client/v3/register?kind=guest'
  const answer = await ask(url, { method: 'POST', path, body: {} })
  if (answer.status !== 200) throw new Error(`registering a guest: ${answer.status} ${JSON.stringify(answer.body)}`)
  return actorOf('guest', asUser(url, answer.body))
}
