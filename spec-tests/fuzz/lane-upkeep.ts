import { ask } from '../harness/client.ts'
import { v3 } from '../harness/rooms.ts'
import { PASSWORD } from './fuzz-users.ts'
import type { FuzzWorld } from './fuzz-world.ts'
import type { Actor } from './known-values.ts'

/** Requests beside the fuzzer's, which keep its users in rooms and bound their number. Refusals are ignored. */
async function tryTo({ url }: FuzzWorld, { token }: Actor, path: string, body: object = {}): Promise<number> {
  try {
    return (await ask(url, { method: 'POST', path: v3 + path, body, token })).status
  } catch {
    // A response against the schema is for the fuzzer's own requests to find.
    return 0
  }
}

/** Joins a room, through another server if needed, and returns whether that was allowed. */
export async function enterRoom(world: FuzzWorld, actor: Actor, roomId: string, via?: string): Promise<boolean> {
  const query = via ? `?via=${encodeURIComponent(via)}` : ''
  return (await tryTo(world, actor, `/join/${encodeURIComponent(roomId)}${query}`)) === 200
}

export async function leaveRoom(world: FuzzWorld, actor: Actor, roomId: string): Promise<void> {
  await tryTo(world, actor, `/rooms/${encodeURIComponent(roomId)}/leave`)
  await tryTo(world, actor, `/rooms/${encodeURIComponent(roomId)}/forget`)
}

/** Deactivates an account with all its data. */
export async function retireUser(world: FuzzWorld, actor: Actor): Promise<void> {
  const identifier = { type: 'm.id.user', user: actor.userId }
  await tryTo(world, actor, '/account/deactivate', {
    erase: true,
    auth: { type: 'm.login.password', identifier, password: PASSWORD },
  })
}
