import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { type Answer, ask, registerUser, type TestUser, uniqueName } from './client.ts'
import type { HostileWorld } from './hostile-world.ts'
import { v3 } from './rooms.ts'

export const PASSWORD = 'correct horse battery'
/** The burst of password attempts in the configuration of these tests. */
export const GUESSES = 5
/** Attempts count by account and also by address. Nothing else is limited. */
export const GUESSING_LIMITS = {
  ...Object.fromEntries(
    ['default', 'message', 'registration', 'join', 'media'].map((each) => [each, { per_second: 1e6, burst: 1e6 }]),
  ),
  login: { per_second: 0.0001, burst: GUESSES },
}

/** An attacked user, who may have an e-mail address. */
export type Victim = TestUser & { name: string; address: string }

let addresses = 0
/** Returns an unused public address: attackers have many. */
export function freshAddress(): string {
  addresses++
  return `198.${18 + ((addresses >> 16) & 1)}.${(addresses >> 8) & 255}.${addresses & 255}`
}

/** Sends a request from an address of its own. */
export function askFromAnywhere(
  { url }: Pick<HostileWorld, 'url'>,
  path: string,
  body: unknown,
  more: { method?: string; token?: string } = {},
): Promise<Answer> {
  return ask(url, { method: 'POST', path, body, from: freshAddress(), ...more })
}

/** Registers a user to attack, without an e-mail address. */
export async function newVictim({ url }: Pick<HostileWorld, 'url'>): Promise<Victim> {
  const name = uniqueName('victim')
  return { ...(await registerUser(url, name)), name, address: `${name}@example.org` }
}

/** Registers a user to attack with a verified address. */
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

/** Returns the link of the newest mail to an address, after the first `after`, that is no notice of a change. */
export async function linkTo({ mails }: HostileWorld, address: string, after = 0): Promise<string> {
  const isToConfirm = (link: string) => !new URL(link).pathname.startsWith('/account')
  return pollUntil(`a mail to ${address}`, () => {
    const links = mails
      .to(address)
      .slice(after)
      .map(({ text }) => /http:\/\/\S+/.exec(text ?? '')?.[0])
    return links.findLast((link) => link !== undefined && isToConfirm(link))
  })
}

/** Logs in from an unused address. */
export function logInFromAnywhere(
  world: Pick<HostileWorld, 'url'>,
  identifier: Record<string, unknown>,
  password = PASSWORD,
): Promise<Answer> {
  return askFromAnywhere(world, `${v3}/login`, { type: 'm.login.password', identifier, password })
}

/**
 * Guesses until the limit, and asserts that only this many guesses are checked, and that then the password itself is
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
