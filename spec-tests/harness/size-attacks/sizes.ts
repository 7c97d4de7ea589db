import { expect } from 'vitest'
import { type Answer, logIn, registerUser, type TestUser } from '../client.ts'
import type { Attack } from '../hostile-world.ts'
import { v3 } from '../rooms.ts'

/** Returns this number of one-byte characters. */
export const text = (bytes: number) => 'x'.repeat(bytes)
export const KIB = 1024
export const MIB = 1024 * KIB
export const unstable = '/_matrix/client/unstable'

/** Returns a path below a user of the client API. */
export function ofUser({ userId }: TestUser, rest: string): string {
  return `${v3}/user/${encodeURIComponent(userId)}/${rest}`
}

/** Returns an object with this number of keys. */
export function entries(count: number, key: (place: number) => string, value: unknown): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: count }, (_, place) => [key(place), value]))
}

/** Logs in another device of a user. */
export function loggedInAgain({ url, userId }: TestUser): Promise<TestUser> {
  return logIn(url, userId, 'another device')
}

/**
 * Returns a row about a request of a new user that exceeds a limit and is refused with its error. Then the user's sync
 * must work and be small.
 */
export function refused(name: string, request: (user: TestUser, world: { roomId: string }) => Promise<Answer>): Attack {
  return {
    name,
    async attempt({ url, roomId }) {
      const user = await registerUser(url)
      const { status, body } = await request(user, { roomId })
      expect([status, body.errcode], JSON.stringify(body)).toEqual([413, 'M_TOO_LARGE'])
      const synced = JSON.stringify(await user.get(`${v3}/sync?timeout=0`))
      expect(synced.length).toBeLessThan(3 * MIB)
    },
  }
}

/** Repeats a request until it is refused, within `most` attempts, and returns that response. */
export async function untilRefused(most: number, request: (place: number) => Promise<Answer>): Promise<Answer> {
  for (let place = 0; place < most; place++) {
    const answer = await request(place)
    if (answer.status !== 200) return answer
  }
  throw new Error(`none of ${most} requests was refused`)
}
