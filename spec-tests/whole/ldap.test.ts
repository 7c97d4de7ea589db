import { execFile } from 'node:child_process'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestAuthority, type TestAuthority } from '../../testing/test-authority.ts'
import { type Answer, ask, asUser, registerUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import { GUESSES, GUESSING_LIMITS, logInFromAnywhere } from '../harness/password-guesses.ts'
import { v3 } from '../harness/rooms.ts'
import { type Hearths, startHearths } from '../harness/several-hearths.ts'
import { BASE, SEARCHER, type Slapd, startSlapd } from '../harness/slapd.ts'

/** Sign-in with passwords that a real slapd checks. */
const LOCAL_PASSWORD = 'correct horse battery'
const USERS = [
  { uid: 'anna', password: 'annas password', cn: 'Anna Example', mail: 'Anna@example.org', group: 'chat' },
  { uid: 'Ben', password: 'bens password', cn: 'Ben Example', group: 'chat' },
  { uid: 'carl', password: 'carls password', cn: 'Carl Example', mail: 'carl@example.org' },
  {
    uid: ['dora', 'dorothea'],
    password: 'doras password',
    cn: 'Dora Example',
    mail: 'dora@example.org',
    group: 'chat',
  },
  { uid: 'emil', password: 'emils password', cn: 'Emil Example', mail: 'shared@example.org', group: 'chat' },
  { uid: 'fritz', password: 'fritzs password', cn: 'Fritz Example', mail: 'shared@example.org', group: 'chat' },
  { uid: 'gina', password: 'ginas password', cn: 'Gina Example', group: 'chat' },
  { uid: 'hans', password: 'hanss password', cn: 'Hans Example', group: 'chat' },
  { uid: 'ida', password: 'idas password', cn: 'Ida Example', group: 'chat' },
  { uid: 'lena', password: 'lenas password', cn: 'Lena Example', group: 'chat' },
  { uid: 'ümit', password: 'ümits password', cn: 'Ümit Example', mail: 'uemit@example.org', group: 'chat' },
  { uid: 'julia, (x)', password: 'julias password', cn: 'Julia Example', group: 'chat' },
] as const

const BY_NAME_OR_ADDRESS = '(|(uid={localpart})(mail={localpart}))'

type Server = Pick<TestHearth, 'url'>
let authority: TestAuthority
let slapd: Slapd
/** Three processes that search as an entry of their own, with StartTLS; the other signs in by name, over ldaps, and links accounts. */
let searching: Hearths
let naming: TestHearth
let silent: { port: number; close(): void }
beforeAll(async () => {
  authority = createTestAuthority()
  silent = await startSilentServer()
  const ca = authority.certificate
  slapd = await startSlapd(
    USERS.map((user) => ({ ...user, uid: [user.uid].flat() })),
    { ...authority.issue('localhost'), ca },
  )
  const search = {
    base: `ou=people,${BASE}`,
    filter: BY_NAME_OR_ADDRESS,
    new_accounts_filter: '(employeeType=chat)',
    ...SEARCHER,
  }
  const name = { user_dn: `uid={localpart},ou=people,${BASE}`, on_conflict: 'link' }
  searching = await startHearths(3, { ldap: { url: slapd.url, ca, timeout: '5s', ...search } })
  naming = await startHearth({ config: { ldap: { url: slapd.secureUrl, ca, timeout: '5s', ...name } } })
})
afterAll(async () => {
  await Promise.all([searching?.dispose(), naming?.dispose(), slapd?.dispose()])
  authority?.dispose()
  silent?.close()
})

async function startSilentServer(): Promise<typeof silent> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

function logIn(hearth: Server, user: string, password: string): Promise<Answer> {
  const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password }
  return ask(hearth.url, { method: 'POST', path: `${v3}/login`, body })
}

async function signedIn(hearth: Server, user: string, password: string) {
  const answer = await logIn(hearth, user, password)
  expect(answer.body).toMatchObject({ access_token: expect.any(String) })
  return asUser(hearth.url, answer.body)
}

const WRONG = { status: 403, body: { errcode: 'M_FORBIDDEN', error: 'Invalid user name or password' } }

describe('a user of the directory', () => {
  test('gets an account at the first sign-in, with name and address, and has it again at the next', async () => {
    expect((await ask(searching.url, { method: 'GET', path: `${v3}/profile/@anna:hearth.test` })).status).toBe(404)
    const anna = await signedIn(searching, 'anna', 'annas password')
    expect(anna.userId).toBe('@anna:hearth.test')
    expect(await anna.get(`${v3}/profile/${anna.userId}/displayname`)).toEqual({ displayname: 'Anna Example' })
    expect((await anna.get(`${v3}/account/3pid`)).threepids).toMatchObject([
      { medium: 'email', address: 'anna@example.org' },
    ])
    for (const name of ['ANNA', '@anna:hearth.test', 'anna@example.org'])
      expect((await signedIn(searching, name, 'annas password')).userId).toBe(anna.userId)
    expect((await anna.get(`${v3}/devices`)).devices).toHaveLength(4)
  })

  test('may sign in with the address before the account exists', async () => {
    const identifier = { type: 'm.id.thirdparty', medium: 'email', address: 'Dora@example.org' }
    const body = { type: 'm.login.password', identifier, password: 'doras password' }
    // Two names, and the address is neither.
    expect(await ask(searching.url, { method: 'POST', path: `${v3}/login`, body })).toMatchObject(WRONG)
    expect((await signedIn(searching, 'dorothea', 'doras password')).userId).toBe('@dorothea:hearth.test')
  })

  test('has a name in lower case', async () => {
    expect((await signedIn(searching, 'ben', 'bens password')).userId).toBe('@ben:hearth.test')
  })

  test('gets one account from two first sign-ins at the same time', async () => {
    const both = await Promise.all([1, 2].map(() => signedIn(searching, 'gina', 'ginas password')))
    expect(both.map(({ userId }) => userId)).toEqual(['@gina:hearth.test', '@gina:hearth.test'])
  })

  test('gets no address that belongs to another account', async () => {
    await signedIn(searching, 'emil', 'emils password')
    const fritz = await signedIn(searching, 'fritz', 'fritzs password')
    expect((await fritz.get(`${v3}/account/3pid`)).threepids).toEqual([])
  })

  test('gets no account if the filter for new accounts does not match', async () => {
    const answer = await logIn(searching, 'carl', 'carls password')
    expect(answer).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(answer.body.error).toContain('Ask its administrator')
    expect(await logIn(searching, 'carl', 'wrong')).toMatchObject(WRONG)
  })

  test('gets no account for a name that cannot be one', async () => {
    for (const [user, password] of [
      ['ümit', 'ümits password'],
      ['julia, (x)', 'julias password'],
    ] as const)
      expect(await logIn(searching, user, password)).toMatchObject(WRONG)
    const answer = await logIn(searching, 'uemit@example.org', 'ümits password')
    expect(answer).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(answer.body.error).toContain('ümit')
  })

  test('signs in on the page, and gets the account there too', async () => {
    const sign = (user: string, password: string) => signIn(newVisitor(searching.url), { userId: user, password })
    const page = await sign('lena', 'lenas password')
    expect([page.status, page.url.pathname]).toEqual([200, '/account'])
    expect(page.text).toContain('@lena:hearth.test')
    expect((await sign('lena', 'lenas password')).url.pathname).toBe('/account')
    for (const [user, password] of [
      ['lena', 'wrong'],
      ['nobody', 'wrong'],
    ] as const) {
      const refusal = await sign(user, password)
      expect([refusal.status, refusal.alert]).toEqual([403, 'The user name or the password is wrong.'])
    }
    const refusal = await sign('carl', 'carls password')
    expect([refusal.status, refusal.alert]).toEqual([403, expect.stringContaining('no account for you')])
  })

  test('proves the password in user-interactive authentication', async () => {
    const anna = await signedIn(searching, 'anna', 'annas password')
    const other = await signedIn(searching, 'anna', 'annas password')
    const remove = (password: string) =>
      anna.ask('DELETE', `${v3}/devices/${other.deviceId}`, {
        auth: { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'anna' }, password },
      })
    expect(await remove('wrong')).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN' } })
    expect(await remove('annas password')).toMatchObject({ status: 200 })
  })

  test('changes the password in the directory, not here', async () => {
    const anna = await signedIn(searching, 'anna', 'annas password')
    const { capabilities } = await anna.get(`${v3}/capabilities`)
    expect(capabilities['m.change_password']).toEqual({ enabled: false })
    const answer = await anna.ask('POST', `${v3}/account/password`, {
      new_password: 'a password of this server',
      auth: { type: 'm.login.password', user: anna.userId, password: 'annas password' },
    })
    expect(answer).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(answer.body.error).toContain('directory')
    await signedIn(searching, 'anna', 'annas password')
    const local = await registerUser(searching.url)
    expect((await local.get(`${v3}/capabilities`)).capabilities['m.change_password']).toEqual({ enabled: true })
  })

  test('signs in by distinguished name as well', async () => {
    const hans = await signedIn(naming, 'Hans', 'hanss password')
    expect(hans.userId).toBe('@hans:hearth.test')
    expect(await hans.get(`${v3}/profile/${hans.userId}/displayname`)).toEqual({ displayname: 'Hans Example' })
    await signedIn(naming, 'hans', 'hanss password')
    expect(await logIn(naming, 'hans', 'wrong')).toMatchObject(WRONG)
  })
})

describe('no account is revealed', () => {
  test.each([() => searching, () => naming])(
    'by a wrong password, an unknown name, or an empty password',
    async (at) => {
      await signedIn(at(), 'ida', 'idas password')
      const local = uniqueName('local')
      await registerUser(at().url, local)
      for (const [user, password] of [
        ['ida', 'wrong'],
        ['nobody', 'wrong'],
        [local, 'wrong'],
        ['ida', ''],
        ['nobody', ''],
        ['ida', 'idas password '],
        ['ida', '\0idas password'],
        ['ida', 'idas password\0'],
      ] as const)
        expect(await logIn(at(), user, password), JSON.stringify([user, password])).toMatchObject(WRONG)
    },
  )

  test('by the time of the answer', { retry: 2 }, async () => {
    const local = uniqueName('local')
    await registerUser(searching.url, local)
    const times = { ida: [] as number[], [local]: [] as number[], nobody: [] as number[] }
    for (let round = 0; round < 15; round++) {
      for (const [name, taken] of Object.entries(times)) {
        const began = performance.now()
        await logIn(searching, name, 'wrong')
        taken.push(performance.now() - began)
      }
    }
    const medians = Object.values(times).map((taken) => taken.sort((a, b) => a - b)[7]!)
    expect(Math.max(...medians) - Math.min(...medians)).toBeLessThan(Math.max(8, 0.5 * Math.max(...medians)))
  })

  const INJECTED = [
    '*',
    'i*',
    'ida)(uid=*',
    'ida)(|(uid=*',
    'ida))(|(uid=*)',
    '*)(objectClass=*',
    'nobody)(|(uid=ida)',
    '\\69da',
    'ida\\2a',
    'ida\0',
    'ida,ou=people',
    'ida,ou=people,dc=example,dc=org',
    'ida+cn=Ida Example',
    '"ida"',
    '#0469646131',
    ' ida',
    'ida ',
    '{localpart}',
    '*@example.org',
    'ｉｄａ',
    'ida\u00ad',
    '',
  ]
  test.each(INJECTED)('by the name %j', async (name) => {
    for (const at of [searching, naming]) expect(await logIn(at, name, 'idas password')).toMatchObject(WRONG)
  })
})

describe('an account with a password of its own', () => {
  test('keeps it, and the directory is not asked about a password for it', async () => {
    const hans = await registerUser(searching.url, 'hans')
    const before = slapd.binds()
    expect(await logIn(searching, 'hans', 'hanss password')).toMatchObject(WRONG)
    expect(slapd.binds()).toBe(before)
    expect((await signedIn(searching, 'hans', LOCAL_PASSWORD)).userId).toBe(hans.userId)
  })

  test('moves to the directory if the configuration says so', async () => {
    const gina = await registerUser(naming.url, 'gina')
    expect(await logIn(naming, 'gina', 'wrong')).toMatchObject(WRONG)
    await signedIn(naming, 'gina', LOCAL_PASSWORD)
    expect((await signedIn(naming, 'gina', 'ginas password')).userId).toBe(gina.userId)
    expect(await logIn(naming, 'gina', LOCAL_PASSWORD)).toMatchObject(WRONG)
    await gina.get(`${v3}/account/whoami`)
  })
})

test('while the directory is down, sign-ins fail as an outage, except with passwords of this server', async () => {
  const ida = await signedIn(searching, 'ida', 'idas password')
  const local = uniqueName('local')
  await registerUser(searching.url, local)
  await slapd.stop()
  try {
    for (const [user, password] of [
      ['ida', 'idas password'],
      ['ida', 'wrong'],
      ['nobody', 'wrong'],
      [local, 'wrong'],
    ] as const) {
      const answer = await logIn(searching, user, password)
      expect(answer).toMatchObject({ status: 503, body: { errcode: 'M_UNKNOWN' } })
      expect(answer.body.error).toMatch(/^The directory that checks passwords cannot be reached/)
    }
    const page = await signIn(newVisitor(searching.url), { userId: 'ida', password: 'idas password' })
    expect([page.status, page.alert]).toEqual([503, 'The server could not do this. Try again later.'])
    const auth = { type: 'm.login.password', user: ida.userId, password: 'idas password' }
    expect((await ida.ask('DELETE', `${v3}/devices/${ida.deviceId}`, { auth })).status).toBe(503)
    await signedIn(searching, local, LOCAL_PASSWORD)
  } finally {
    await slapd.start()
  }
  expect((await signedIn(searching, 'ida', 'idas password')).userId).toBe(ida.userId)
  expect(await logIn(searching, 'ida', 'wrong')).toMatchObject(WRONG)
})

test('hearth doctor checks that the directory answers', async () => {
  const examine = (hearth: TestHearth) =>
    promisify(execFile)(join(import.meta.dirname, '../../bin/hearth'), ['doctor', '--config', hearth.configFile]).catch(
      (error: { stdout: string }) => error,
    )
  expect((await examine(searching.hearths[0]!)).stdout).toContain(`✓ The LDAP directory ${slapd.url} answers`)
  await slapd.stop()
  const { stdout } = await examine(naming).finally(() => slapd.start())
  expect(stdout).toMatch(/✗ Users of the LDAP directory ldaps:.* cannot sign in: connect ECONNREFUSED/)
})

test('guesses at one entry are limited, whichever of its names they use', async () => {
  const limited = await startHearth({
    config: {
      ldap: { url: slapd.url, ca: authority.certificate, base: BASE, filter: BY_NAME_OR_ADDRESS, ...SEARCHER },
      rate_limits: GUESSING_LIMITS,
    },
  })
  try {
    const statuses = []
    for (const user of ['dora', 'dorothea', 'dora@example.org', 'DORA', 'dorothea', 'dorothea', 'dora@example.org'])
      statuses.push((await logInFromAnywhere(limited, { type: 'm.id.user', user }, 'wrong')).status)
    expect(statuses).toEqual([...Array(GUESSES).fill(403), 429, 429])
  } finally {
    await limited.dispose()
  }
})

test.each([
  ['no TLS', () => ({ url: slapd.url, start_tls: false }), 200],
  ['StartTLS with a certificate of an unknown authority', () => ({ url: slapd.url }), 503],
  ['ldaps with a certificate of an unknown authority', () => ({ url: slapd.secureUrl }), 503],
  [
    'a certificate for another name',
    () => ({ url: slapd.secureUrl.replace('localhost', '127.0.0.1'), ca: authority.certificate }),
    503,
  ],
  [
    'a wrong password of the searching entry',
    () => ({ url: slapd.url, ca: authority.certificate, bind_password: 'wrong' }),
    503,
  ],
  ['a directory that accepts connections and does not answer', () => ({ url: `ldap://127.0.0.1:${silent.port}` }), 503],
  [
    'one that does not answer over TLS',
    () => ({ url: `ldaps://127.0.0.1:${silent.port}`, ca: authority.certificate }),
    503,
  ],
] as const)('%s', async (_, keys, status) => {
  const ldap = { base: BASE, timeout: '1s', ...SEARCHER, ...keys() }
  const hearth = await startHearth({ config: { ldap } })
  try {
    expect((await logIn(hearth, 'ida', 'idas password')).status).toBe(status)
  } finally {
    await hearth.dispose()
  }
})
