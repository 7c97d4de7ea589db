import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { uniqueName } from '../harness/client.ts'
import type { Attack, HostileWorld } from '../harness/hostile-world.ts'
import {
  askFromAnywhere,
  freshAddress,
  GUESSES,
  linkTo,
  logInFromAnywhere,
  newVictim,
  newVictimWithAddress,
  PASSWORD,
  type Victim,
} from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'

/** Requests the verification of an address, and returns its credentials. */
async function askForProof(world: HostileWorld, place: string, address: string, token?: string) {
  const client_secret = uniqueName('secret')
  const body = { email: address, client_secret, send_attempt: 1 }
  const path = `${v3}/${place}/email/requestToken`
  const answer = await askFromAnywhere(world, path, body, token === undefined ? {} : { token })
  return { answer, creds: { sid: answer.body.sid as string, client_secret } }
}

const follow = (link: string) => fetch(link, { method: 'POST', headers: { 'X-Forwarded-For': freshAddress() } })

/** Returns a verification whose link the owner of the mailbox has opened. */
async function provenFor(world: HostileWorld, place: string, address: string, token?: string) {
  const before = world.mails.to(address).length
  const { answer, creds } = await askForProof(world, place, address, token)
  expect(answer.status).toBe(200)
  const link = await linkTo(world, address, before)
  expect((await follow(link)).status).toBe(200)
  return creds
}

const byEmail = (threepid_creds: object) => ({ type: 'm.login.email.identity', threepid_creds })
const resetWith = (world: HostileWorld, creds: object) =>
  askFromAnywhere(world, `${v3}/account/password`, { new_password: 'attacker horse', auth: byEmail(creds) })
const addTo = (world: HostileWorld, { userId: user, accessToken: token }: Victim, creds: object) => {
  const auth = { type: 'm.login.password', user, password: PASSWORD }
  return askFromAnywhere(world, `${v3}/account/3pid/add`, { ...creds, auth }, { token })
}
const registerWith = (world: HostileWorld, creds: object) =>
  askFromAnywhere(world, `${v3}/register`, {
    username: uniqueName(),
    password: PASSWORD,
    auth: byEmail(creds),
  })
const expectOldPassword = async (world: HostileWorld, { name }: Victim) => {
  expect((await logInFromAnywhere(world, { type: 'm.id.user', user: name })).status).toBe(200)
}

const PROOFS: Attack[] = [
  {
    name: 'a proof for adding an address sets no password',
    async attempt(world) {
      const victim = await newVictim(world)
      const creds = await provenFor(world, 'account/3pid', victim.address)
      expect((await addTo(world, victim, creds)).status).toBe(200)
      const attacker = await newVictim(world)
      // The owner opens a link that an attacker had sent "to add the address".
      await addTo(world, attacker, creds)
      const asked = await askForProof(world, 'account/3pid', victim.address)
      expect((await resetWith(world, asked.creds)).body.errcode).toBe('M_UNAUTHORIZED')
      await expectOldPassword(world, victim)
    },
  },
  {
    name: 'a proof for adding an address, from before it had an owner, sets no password',
    async attempt(world) {
      const victim = await newVictim(world)
      const begun = await provenFor(world, 'account/3pid', victim.address)
      const creds = await provenFor(world, 'account/3pid', victim.address, victim.accessToken)
      expect((await addTo(world, victim, creds)).status).toBe(200)
      expect((await resetWith(world, begun)).body.errcode).toBe('M_UNAUTHORIZED')
      await expectOldPassword(world, victim)
    },
  },
  {
    name: 'a proof for registering sets no password',
    async attempt(world) {
      const victim = await newVictim(world)
      const begun = await provenFor(world, 'register', victim.address)
      const creds = await provenFor(world, 'account/3pid', victim.address)
      expect((await addTo(world, victim, creds)).status).toBe(200)
      expect((await resetWith(world, begun)).body.errcode).toBe('M_UNAUTHORIZED')
      await expectOldPassword(world, victim)
    },
  },
  {
    name: 'a proof for registering adds no address',
    async attempt(world) {
      const victim = await newVictim(world)
      const creds = await provenFor(world, 'register', victim.address)
      const added = await addTo(world, victim, creds)
      expect([added.status, added.body.errcode]).toEqual([400, 'M_THREEPID_AUTH_FAILED'])
    },
  },
  {
    name: 'a proof for adding an address registers no account',
    async attempt(world) {
      const address = `${uniqueName()}@example.org`
      const creds = await provenFor(world, 'account/3pid', address)
      expect((await registerWith(world, creds)).body.errcode).toBe('M_UNAUTHORIZED')
    },
  },
  {
    name: 'a proof for a password adds the address to nobody and registers nobody',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const creds = await provenFor(world, 'account/password', victim.address)
      const attacker = await newVictim(world)
      expect((await addTo(world, attacker, creds)).body.errcode).toBe('M_THREEPID_AUTH_FAILED')
      expect((await registerWith(world, creds)).body.errcode).toBe('M_UNAUTHORIZED')
      expect((await resetWith(world, creds)).status).toBe(200)
    },
  },
  {
    name: "a proof that one user asked for adds the address to no other user's account",
    async attempt(world) {
      const [victim, attacker] = [await newVictim(world), await newVictim(world)]
      const creds = await provenFor(world, 'account/3pid', victim.address, victim.accessToken)
      expect((await addTo(world, attacker, creds)).body.errcode).toBe('M_THREEPID_AUTH_FAILED')
      expect((await addTo(world, victim, creds)).status).toBe(200)
    },
  },
  {
    name: 'a proof for a password does not outlive the move of the address to another account',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const creds = await provenFor(world, 'account/password', victim.address)
      await victim.post(`${v3}/account/3pid/delete`, { medium: 'email', address: victim.address })
      const heir = await newVictim(world)
      const moved = await provenFor(world, 'account/3pid', victim.address, heir.accessToken)
      expect((await addTo(world, heir, moved)).status).toBe(200)
      expect((await resetWith(world, creds)).body.errcode).toBe('M_UNAUTHORIZED')
      await expectOldPassword(world, victim)
      await expectOldPassword(world, heir)
    },
  },
  {
    name: 'a proof serves once',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const creds = await provenFor(world, 'account/password', victim.address)
      const both = await Promise.all([resetWith(world, creds), resetWith(world, creds)])
      expect(both.map(({ status }) => status).sort()).toEqual([200, 401])
    },
  },
  {
    name: 'a proof needs its own secret, and its own link',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const mine = `${uniqueName()}@example.org`
      const [theirs, own] = [
        await askForProof(world, 'account/password', victim.address),
        await askForProof(world, 'register', mine),
      ]
      const link = new URL(await linkTo(world, mine))
      link.pathname = link.pathname.replace(own.creds.sid, theirs.creds.sid)
      expect((await follow(link.href)).status).toBe(404)
      expect((await resetWith(world, theirs.creds)).body.errcode).toBe('M_UNAUTHORIZED')
      const creds = await provenFor(world, 'account/password', victim.address)
      expect((await resetWith(world, { ...creds, client_secret: 'guess' })).body.errcode).toBe('M_UNAUTHORIZED')
      expect((await resetWith(world, { ...creds, sid: own.creds.sid })).body.errcode).toBe('M_UNAUTHORIZED')
    },
  },
  {
    name: 'the page of a stage takes no proof for another purpose',
    async attempt(world) {
      const victim = await newVictim(world)
      const begun = await provenFor(world, 'register', victim.address)
      const creds = await provenFor(world, 'account/3pid', victim.address)
      expect((await addTo(world, victim, creds)).status).toBe(200)
      const reset = { new_password: 'attacker horse' }
      const { session } = (await askFromAnywhere(world, `${v3}/account/password`, reset)).body
      const page = `${world.url}${v3}/auth/m.login.email.identity/fallback/web?session=${session}`
      const headers = { 'X-Forwarded-For': freshAddress() }
      const answer = await fetch(page, { method: 'POST', headers, body: new URLSearchParams(begun) })
      expect(answer.status).toBe(401)
      const end = await askFromAnywhere(world, `${v3}/account/password`, { ...reset, auth: { session } })
      expect(end.status).toBe(401)
      await expectOldPassword(world, victim)
    },
  },
  {
    name: 'asking for mail at all three places does not tell which addresses have accounts',
    async attempt(world) {
      const victim = await newVictimWithAddress(world)
      const attacker = await newVictim(world)
      const free = `${uniqueName()}@example.org`
      for (const place of ['register', 'account/password', 'account/3pid']) {
        const answers = []
        for (const address of [victim.address, free]) {
          const { answer } = await askForProof(world, place, address, attacker.accessToken)
          answers.push([answer.status, Object.keys(answer.body), answer.body.sid?.length])
        }
        expect(answers[0]).toEqual([200, ['sid'], expect.any(Number)])
        expect(answers[1]).toEqual(answers[0])
      }
      // The owners are informed instead, and these mails have no link.
      const told = await pollUntil('the owners are told', () => {
        const texts = [...world.mails.to(victim.address), ...world.mails.to(free)].map(({ text }) => text ?? '')
        return texts.length === 7 && texts
      })
      const [inUse, unknown] = [/belongs to an account already: @victim/, /No account has it/]
      expect(told.filter((text) => inUse.test(text) && !text.includes('http'))).toHaveLength(2)
      expect(told.filter((text) => unknown.test(text) && !text.includes('http'))).toHaveLength(1)
    },
  },
]

const ADDRESS_FORMS: [string, (address: string) => string][] = [
  ['blanks before it', (address) => `  ${address}`],
  ['a tab after it', (address) => `${address}\t`],
  ['line ends around it', (address) => `\r\n${address}\r\n`],
  ['blanks of Unicode', (address) => `\u00a0\u2003${address}\ufeff`],
  ['capitals', (address) => address.toUpperCase()],
  ['letters that fold to it', (address) => address.replace('k', '\u212a').replace('s', '\u017f')],
]

const MAILS: Attack[] = [
  ...ADDRESS_FORMS.map(
    ([name, form]): Attack => ({
      name: `mails to one address, written with ${name}`,
      async attempt(world) {
        const address = `ks-${uniqueName()}@example.org`
        const statuses = []
        for (let time = 0; time < GUESSES + 1; time++) {
          const written = time % 2 ? address : form(address)
          const { answer } = await askForProof(world, ['register', 'account/3pid'][time % 2]!, written)
          statuses.push(answer.status)
        }
        expect(statuses).toEqual([...Array(GUESSES).fill(200), 429])
        expect(world.mails.to(form(address).trim()).filter(({ to }) => to![0]!.address !== address)).toEqual([])
      },
    }),
  ),
  ...(
    [
      ['a second recipient', (address) => `${address}, eve@example.org`],
      ['a header', (address) => `${address}\r\nBcc: eve@example.org`],
      ['a name', (address) => `Eve <${address}>`],
      ['a route', (address) => `@example.com:${address}`],
      ['NUL', (address) => `${address}\0`],
      ['a quoted local part', (address) => `"a b"${address}`],
    ] satisfies [string, (address: string) => string][]
  ).map(
    ([name, form]): Attack => ({
      name: `mails to an address with ${name}`,
      async attempt(world) {
        const address = `${uniqueName()}@example.org`
        for (const place of ['register', 'account/password', 'account/3pid']) {
          const { answer } = await askForProof(world, place, form(address))
          expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
        }
        expect(world.mails.to('eve@example.org')).toEqual([])
      },
    }),
  ),
]

/** Misuse of verifications of e-mail addresses, and of their mails. */
export const ATTACKS_ON_ADDRESSES: readonly Attack[] = [...PROOFS, ...MAILS]
