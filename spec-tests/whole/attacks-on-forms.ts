import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { ask, registerUser } from '../harness/client.ts'
import type { Attack } from '../harness/hostile-world.ts'
import { PASSWORD } from '../harness/password-guesses.ts'
import { confirmLink, expectPage, HEARTH, postForm, STAGES, sessionOf, stagePage } from '../harness/people-pages.ts'
import { openConnection } from '../harness/raw-connection.ts'
import { v3 } from '../harness/rooms.ts'

/** Misuse of the web forms. */
export const ATTACKS_ON_FORMS: readonly Attack[] = [
  ...(
    [
      ['of a hundred kilobytes', 'application/x-www-form-urlencoded', `token=${'x'.repeat(100_000)}`],
      ['of many fields', 'application/x-www-form-urlencoded', 'a=b&'.repeat(30_000)],
      ['of ten megabytes', 'application/x-www-form-urlencoded', 'x'.repeat(10_000_000)],
      ['of broken percent signs', 'application/x-www-form-urlencoded', `token=%&${'%zz='.repeat(5000)}`],
      ['that is not UTF-8', 'application/x-www-form-urlencoded', Buffer.from('token=\xff\xfe\x80', 'latin1')],
      ['with NUL', 'application/x-www-form-urlencoded', 'token=a%00b&token=\0'],
      [
        'with names of prototypes',
        'application/x-www-form-urlencoded',
        '__proto__=x&constructor=y&hasOwnProperty=z&sid=x',
      ],
      [
        'as multipart',
        'multipart/form-data; boundary=x',
        '--x\r\nContent-Disposition: form-data; name="token"\r\n\r\nx\r\n--x--',
      ],
      ['as JSON', 'application/json', JSON.stringify({ token: 'x', email: { a: 1 } })],
      ['as text, as other sites can send it', 'text/plain', '{"token":"x"}'],
      ['of no type', '', 'token=x'],
      ['that is packed', 'application/x-www-form-urlencoded', gzipSync('x'.repeat(1_000_000))],
      ['that is empty', 'application/x-www-form-urlencoded', ''],
    ] satisfies [string, string, string | Buffer][]
  ).map(
    ([name, type, body]): Attack => ({
      name: `a form ${name}`,
      async attempt(world) {
        const session = await sessionOf(world)
        for (const stage of ['m.login.registration_token', 'm.login.email.identity', 'm.login.password']) {
          const answer = await fetch(stagePage(world, stage, session), {
            method: 'POST',
            headers: { 'Content-Type': type, ...(name === 'that is packed' && { 'Content-Encoding': 'gzip' }) },
            body: typeof body === 'string' ? body : new Uint8Array(body),
          }).catch(() => undefined)
          // The connection may close before all of a large body was sent.
          if (answer === undefined) expect(body.length).toBeGreaterThan(65_536)
          else expect([answer.status >= 400, answer.status < 500]).toEqual([true, true])
        }
        const auth = { session }
        const register = { method: 'POST', path: `${v3}/register`, body: { password: PASSWORD, auth } }
        expect((await ask(world.url, register)).body.completed).toEqual([])
      },
    }),
  ),
  {
    name: 'a form that never ends',
    async attempt({ url }) {
      const connection = await openConnection(url)
      connection.send(
        `POST ${v3}/auth/m.login.dummy/fallback/web?session=x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      for (let chunk = 0; chunk < 40; chunk++) connection.send(`1000\r\n${'x'.repeat(4096)}\r\n`)
      connection.cut()
      expect((await fetch(`${url}/_matrix/static/client/login/`)).status).toBe(200)
    },
  },
  {
    name: 'sessions of odd forms, twice, and none',
    async attempt({ url }) {
      const page = `${url}${v3}/auth/m.login.password/fallback/web`
      for (const query of [
        '',
        '?session=',
        '?session=a&session=b',
        `?session=${'x'.repeat(256)}`,
        `?session=${'x'.repeat(7000)}`,
        '?session=%00',
        '?session[]=x',
        '?session=%ff',
        '?SESSION=x',
      ])
        for (const answer of [await fetch(page + query), await postForm(page + query, { password: 'x' })]) {
          expect(answer.status).toBeGreaterThanOrEqual(400)
          expect(answer.status).toBeLessThan(500)
        }
    },
  },
  {
    name: 'every page and every error of one, in a frame',
    async attempt(world) {
      const session = await sessionOf(world, await registerUser(world.url))
      const { link } = await confirmLink(world)
      const pages = [
        ...STAGES.map((stage) => stagePage(world, stage, session)),
        stagePage(world, 'm.login.none', session),
        link,
        `${link}x`,
        `${world.url}${HEARTH}/unsubscribe/1/x`,
        `${world.url}/_matrix/static/client/login/`,
      ]
      for (const page of pages) await expectPage(await fetch(page, { headers: { 'Sec-Fetch-Dest': 'iframe' } }))
    },
  },
  {
    name: 'every page by every method',
    async attempt(world) {
      const session = await sessionOf(world)
      const pages = [stagePage(world, 'm.login.terms', session), `${world.url}/_matrix/static/client/login/`]
      for (const page of pages)
        for (const method of ['PUT', 'PATCH', 'DELETE', 'PROPFIND', 'LOCK'])
          expect([405, 404]).toContain((await fetch(page, { method })).status)
      const body = { password: PASSWORD, auth: { session } }
      expect((await ask(world.url, { method: 'POST', path: `${v3}/register`, body })).body.completed).toEqual([])
    },
  },
  {
    name: 'the page of another stage than the one that is wanted',
    async attempt(world) {
      const victim = await registerUser(world.url)
      const session = await sessionOf(world, victim)
      for (const stage of ['m.login.dummy', 'm.login.terms']) await postForm(stagePage(world, stage, session))
      const path = `${v3}/delete_devices`
      expect((await victim.ask('POST', path, { devices: [victim.deviceId], auth: { session } })).status).toBe(401)
      await victim.get(`${v3}/account/whoami`)
    },
  },
  {
    name: 'a page that was completed, completed again, and its session used by others',
    async attempt(world) {
      const session = await sessionOf(world)
      for (let time = 0; time < 3; time++) await expectPage(await postForm(stagePage(world, 'm.login.terms', session)))
      const mallory = await registerUser(world.url)
      const path = `${v3}/delete_devices`
      const answer = await mallory.ask('POST', path, { devices: [mallory.deviceId], auth: { session } })
      expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
    },
  },
]
