import { expect } from 'vitest'
import { uniqueName } from '../harness/client.ts'
import type { Attack, HostileWorld } from '../harness/hostile-world.ts'
import {
  askFromAnywhere,
  expectFewGuesses,
  freshAddress,
  GUESSES,
  logInFromAnywhere,
  newVictim,
  newVictimWithAddress,
  PASSWORD,
  type Victim,
} from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'

type Guess = (world: HostileWorld, victim: Victim, password: string) => Promise<{ status: number }>

const atLogin =
  (identifierOf: (victim: Victim) => Record<string, unknown>): Guess =>
  (world, victim, password) =>
    logInFromAnywhere(world, identifierOf(victim), password)
const email = (address: string) => ({ type: 'm.id.thirdparty', medium: 'email', address })

/** Guesses with an access token of the victim, at a request that needs a password. */
const atProof =
  (method: string, path: string | ((victim: Victim) => string), body: Record<string, unknown> = {}): Guess =>
  (world, victim, password) => {
    const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: victim.userId }, password }
    const at = v3 + (typeof path === 'string' ? path : path(victim))
    return askFromAnywhere(world, at, { ...body, auth }, { method, token: victim.accessToken })
  }
const atUpload: Guess = atProof('POST', '/keys/device_signing/upload')

/** Guesses at the web page of a new authentication session each time, or of the same one. */
const atPage = (isNew: boolean): Guess => {
  const sessions = new Map<Victim, string>()
  return async (world, victim, password) => {
    const ask = () => askFromAnywhere(world, `${v3}/delete_devices`, { devices: [] }, { token: victim.accessToken })
    const session = (!isNew && sessions.get(victim)) || (await ask()).body.session
    sessions.set(victim, session)
    return fetch(`${world.url}${v3}/auth/m.login.password/fallback/web?session=${encodeURIComponent(session)}`, {
      method: 'POST',
      headers: { 'X-Forwarded-For': freshAddress() },
      body: new URLSearchParams({ password }),
    })
  }
}

const GUESSING: [string, Guess][] = [
  ['by user id', atLogin(({ userId }) => ({ type: 'm.id.user', user: userId }))],
  ['by localpart', atLogin(({ name }) => ({ type: 'm.id.user', user: name }))],
  ['by the name in capitals', atLogin(({ name }) => ({ type: 'm.id.user', user: name.toUpperCase() }))],
  ['by an address', atLogin(({ address }) => email(address))],
  ['by an address with another user beside it', atLogin(({ address }) => ({ ...email(address), user: uniqueName() }))],
  ['by an address in capitals and with blanks', atLogin(({ address }) => email(`\t ${address.toUpperCase()}\n`))],
  ['by an address in letters that fold to it', atLogin(({ address }) => email(address.replace('k', '\u212a')))],
  [
    'by the old `user`, with another identifier',
    (world, { name }, password) =>
      askFromAnywhere(world, `${v3}/login`, { type: 'm.login.password', user: name, password, address: uniqueName() }),
  ],
  ['at the upload of cross-signing keys', atUpload],
  ['at the old path of cross-signing keys', atProof('POST', '/../r0/keys/device_signing/upload')],
  ['at pages of new authentication sessions', atPage(true)],
  ['at the page of one authentication session', atPage(false)],
  ['at setting a password', atProof('POST', '/account/password', { new_password: 'another horse battery' })],
  ['at deactivation', atProof('POST', '/account/deactivate')],
  ['at the deletion of devices', atProof('POST', '/delete_devices', { devices: ['x'] })],
  ['at the deletion of one device', atProof('DELETE', ({ deviceId }) => `/devices/${deviceId}`)],
  ['at adding an address', atProof('POST', '/account/3pid/add', { sid: 'x', client_secret: 'x' })],
  ['at login tokens', atProof('POST', '/../v1/login/get_token')],
]

const SINGLE: Attack[] = GUESSING.map(([name, guess]) => ({
  name: `guesses of a password ${name}`,
  async attempt(world) {
    const needsAddress = name.includes('address') && !name.includes('adding')
    const victim = needsAddress ? await newVictimWithAddress(world) : await newVictim(world)
    // Adding the address took one.
    await expectFewGuesses(world, victim, (time) => guess(world, victim, `guess ${time}`), needsAddress ? 1 : 0)
  },
}))

const MORE: Attack[] = [
  {
    name: 'guesses of a password at all places in turn',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const places = ['by user id', 'by an address', 'at setting a password', 'at deactivation', 'at login tokens']
      const guesses = GUESSING.filter(([name]) => places.includes(name)).map(([, guess]) => guess)
      await expectFewGuesses(world, victim, (time) => guesses[time % guesses.length]!(world, victim, 'guess'), 1)
    },
  },
  {
    name: 'forty guesses of a password at the same moment',
    async attempt(world) {
      const victim = await newVictim(world)
      const guess = (time: number) =>
        (time % 2 ? atUpload : atLogin(({ name }) => ({ type: 'm.id.user', user: name })))(world, victim, 'guess')
      const answers = await Promise.all(Array.from({ length: 40 }, (_, time) => guess(time)))
      expect(answers.filter(({ status }) => status !== 429)).toHaveLength(GUESSES)
    },
  },
  {
    name: 'guesses by names that nobody has, to see which accounts exist',
    async attempt(world) {
      const [victim, nobody] = [await newVictim(world), uniqueName('nobody')]
      const identifiers = [victim.name, nobody].map((user) => ({ type: 'm.id.user', user }))
      const seen = []
      for (const identifier of [...identifiers, email(`${nobody}@example.org`)]) {
        const answers = []
        for (let time = 0; time < GUESSES + 1; time++) {
          const { status, body } = await logInFromAnywhere(world, identifier, 'guess')
          const { retry_after_ms, ...rest } = body
          answers.push({ status, rest, waits: retry_after_ms !== undefined })
        }
        seen.push(answers)
      }
      expect(seen[1]).toEqual(seen[0])
      expect(seen[2]).toEqual(seen[0])
    },
  },
  {
    name: "guesses that name another user use up neither's attempts",
    async attempt(world) {
      const [attacker, victim] = [await newVictim(world), await newVictim(world)]
      const auth = { type: 'm.login.password', user: victim.userId, password: PASSWORD }
      for (let time = 0; time < GUESSES + 1; time++) {
        const path = `${v3}/keys/device_signing/upload`
        const answer = await askFromAnywhere(world, path, { auth }, { token: attacker.accessToken })
        expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
      }
      expect((await logInFromAnywhere(world, { type: 'm.id.user', user: victim.name })).status).toBe(200)
      expect((await logInFromAnywhere(world, { type: 'm.id.user', user: attacker.name })).status).toBe(200)
    },
  },
  {
    name: 'a deactivated account answers a login like one that never was',
    async attempt(world) {
      const victim = await newVictim(world)
      const deactivate = atProof('POST', '/account/deactivate')
      expect((await deactivate(world, victim, PASSWORD)).status).toBe(200)
      const answers = []
      for (const user of [victim.name, uniqueName('nobody')])
        for (const password of [PASSWORD, 'guess'])
          answers.push(await logInFromAnywhere(world, { type: 'm.id.user', user }, password))
      for (const { status, body } of answers) expect({ status, body }).toEqual({ status: 403, body: answers[0]!.body })
      expect(answers[0]!.body.errcode).toBe('M_FORBIDDEN')
    },
  },
]

/** Password guesses by all endpoints, and information that responses reveal about accounts. */
export const ATTACKS_ON_PASSWORDS: readonly Attack[] = [...SINGLE, ...MORE]
