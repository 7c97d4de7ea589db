import { ask } from '../harness/client.ts'
import { v3 } from '../harness/rooms.ts'
import { PASSWORD } from './fuzz-users.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import type { Actor } from './known-values.ts'

/**
 * Requests beside those of the fuzzer, which keep its users in rooms and their number bounded. What is refused is let
 * be.
 */
async function tryTo({ url }: FuzzWorld, { token }: Actor, path: string, body: object = {}): Promise<number> {
  try {
    return (await ask(url, { method: 'POST', path: v3 + path, body, token })).status
  } catch {
    // An answer against the schema: it is for the requests of the fuzzer to find.
    return 0
  }
}

/** Joins a room, by another server if need be; whether that was allowed. */
export async function enterRoom(world: FuzzWorld, actor: Actor, roomId: string, via?: string): Promise<boolean> {
  const query = via ? `?via=${encodeURIComponent(via)}` : ''
  return (await tryTo(world, actor, `/join/${encodeURIComponent(roomId)}${query}`)) === 200
}

export async function leaveRoom(world: FuzzWorld, actor: Actor, roomId: string): Promise<void> {
  await tryTo(world, actor, `/rooms/${encodeURIComponent(roomId)}/leave`)
  await tryTo(world, actor, `/rooms/${encodeURIComponent(roomId)}/forget`)
}

/** Ends an account, with all that it has gathered. */
export async function retireUser(world: FuzzWorld, actor: Actor): Promise<void> {
  const identifier = { type: 'm.id.user', user: actor.userId }
  await tryTo(world, actor, '/account/deactivate', {
    erase: true,
    auth: { type: 'm.login.password', identifier, password: PASSWORD },
  })
}
