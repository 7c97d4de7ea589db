import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type Answer, ask, registerUser, type TestUser, uniqueName } from './client.ts'
import type { HostileWorld } from './hostile-world.ts'
import { v3 } from './rooms.ts'

export const PASSWORD = 'correct horse battery'
/** How often a password may be tried at once, in the configuration of these tests. */
export const GUESSES = 5
/** Attempts are counted by account and, apart from that, by address. Nothing else is limited. */
export const GUESSING_LIMITS = {
  ...Object.fromEntries(
    ['default', 'message', 'registration', 'join', 'media'].map((each) => [each, { per_second: 1e6, burst: 1e6 }]),
  ),
  login: { per_second: 0.0001, burst: GUESSES },
}

/** A user who may own an e-mail address, and who is attacked. */
export type Victim = TestUser & { name: string; address: string }

let addresses = 0
/** An address of the internet that nobody has used yet: attackers have many. */
export function freshAddress(): string {
  addresses++
  return `198.${18 + ((addresses >> 16) & 1)}.${(addresses >> 8) & 255}.${addresses & 255}`
}

/** A request from an address of its own. */
export function askFromAnywhere(
  { url }: Pick<HostileWorld, 'url'>,
  path: string,
  body: unknown,
  more: { method?: string; token?: string } = {},
): Promise<Answer> {
  return ask(url, { method: 'POST', path, body, from: freshAddress(), ...more })
}

/** A user to attack, without an e-mail address. */
export async function newVictim({ url }: Pick<HostileWorld, 'url'>): Promise<Victim> {
  const name = uniqueName('victim')
  return { ...(await registerUser(url, name)), name, address: `${name}@example.org` }
}

/** A user to attack who has proven an address. */
export async function newVictimWithAddress(world: HostileWorld): Promise<Victim> {
  const victim = await newVictim(world)
  const { address, accessToken: token, userId: user } = victim
  const client_secret = uniqueName('secret')
  const asked = { email: address, client_secret, send_attempt: 1 }
  const { sid } = (await askFromAnywhere(world, `${v3}/account/3pid/email/requestToken`, asked, { token })).body
  await fetch(await linkTo(world, address), { method: 'POST', headers: { 'X-Forwarded-For': freshAddress() } })
  const auth = { type: 'm.login.password', user, password: PASSWORD }
  const added = await askFromAnywhere(world, `${v3}/account/3pid/add`, { sid, client_secret, auth }, { token })
  expect(added.status).toBe(200)
  return victim
}

/** The link in the newest mail to an address, once there are more than `after`. */
export async function linkTo({ mails }: HostileWorld, address: string, after = 0): Promise<string> {
  const mail = await pollUntil(
    `a mail to ${address}`,
    () => mails.to(address).length > after && mails.to(address).at(-1),
  )
  return /http:\/\/\S+/.exec(mail.text ?? '')![0]
}

/** Logs in from an address that nobody has used. */
export function logInFromAnywhere(
  world: Pick<HostileWorld, 'url'>,
  identifier: Record<string, unknown>,
  password = PASSWORD,
): Promise<Answer> {
  return askFromAnywhere(world, `${v3}/login`, { type: 'm.login.password', identifier, password })
}

/**
 * Guesses until it is refused, and asserts that only so many guesses count, and that then the password itself is
 * refused, too.
 */
export async function expectFewGuesses(
  world: HostileWorld,
  victim: Victim,
  guess: (time: number) => Promise<{ status: number }>,
  tried = 0,
): Promise<void> {
  const statuses: number[] = []
  for (let time = 0; time < GUESSES + 1; time++) statuses.push((await guess(time)).status)
  expect(statuses.filter((status) => status !== 429)).toHaveLength(GUESSES - tried)
  expect(statuses).not.toContain(200)
  const right = await logInFromAnywhere(world, { type: 'm.id.user', user: victim.userId })
  expect([right.status, right.body.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED'])
}
