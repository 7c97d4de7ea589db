import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, type TestUser, uniqueName } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { linkTo, newVictimWithAddress, PASSWORD, type Victim } from '../harness/password-guesses.ts'
import { confirmLink, expectPage, HEARTH, postForm, STAGES, sessionOf, stagePage } from '../harness/people-pages.ts'
import { createRoom, joinRoom, v3 } from '../harness/rooms.ts'
import { ATTACKS_ON_FORMS } from './attacks-on-forms.ts'

/** The web pages: they authenticate, verify addresses, unsubscribe and log in. */
const SCRIPT = '"><script>alert(1)</script>'
const MARKUP = [
  SCRIPT,
  "'><img src=x onerror=alert(1)>",
  '</title><svg/onload=alert(1)>',
  '<!--',
  '</form><form action="https://evil.example">',
]

/** Returns whether the link of a verification was opened: only then it completes the stage. */
async function isConfirmed(world: HostileWorld, threepid_creds: object): Promise<boolean> {
  const auth = { type: 'm.login.email.identity', threepid_creds }
  const { body } = await ask(world.url, { method: 'POST', path: `${v3}/register`, body: { password: PASSWORD, auth } })
  return body.errcode !== 'M_UNAUTHORIZED'
}

/** Creates a user with digest mails, and returns the unsubscribe link in one. */
async function withMails(world: HostileWorld): Promise<{ victim: Victim; link: string }> {
  const victim = await newVictimWithAddress(world)
  const before = world.mails.to(victim.address).length
  await victim.post(`${v3}/pushers/set`, {
    app_id: 'm.email',
    pushkey: victim.address,
    kind: 'email',
    app_display_name: 'Mail',
    device_display_name: 'Mail',
    lang: 'en',
    data: {},
  })
  const roomId = await createRoom(world.alice, { name: SCRIPT })
  await joinRoom(roomId, victim)
  const body = { msgtype: 'm.text', body: SCRIPT, format: 'org.matrix.custom.html', formatted_body: SCRIPT }
  await world.alice.put(`${v3}/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${uniqueName()}`, body)
  const mail = await pollUntil('a mail comes', () => world.mails.to(victim.address)[before])
  expect(mail.html).not.toContain('<script>')
  return { victim, link: /https?:\/\/\S+unsubscribe\S+/.exec(mail.text!)![0] }
}
const pushersOf = async (user: TestUser) => (await user.get(`${v3}/pushers`)).pushers.length

const INJECTION: Attack[] = [
  ...STAGES.map(
    (stage): Attack => ({
      name: `markup as the session of the page ${stage}`,
      async attempt(world) {
        for (const markup of MARKUP) {
          for (const answer of [
            await fetch(stagePage(world, stage, markup)),
            await postForm(stagePage(world, stage, markup)),
          ]) {
            expect(answer.status).toBe(400)
            await expectPage(answer, markup, '<script>alert', 'evil.example')
          }
        }
      },
    }),
  ),
  {
    name: 'markup as the stage of a page',
    async attempt(world) {
      const session = await sessionOf(world)
      for (const markup of MARKUP)
        for (const answer of [
          await fetch(stagePage(world, markup, session)),
          await postForm(stagePage(world, markup, session)),
        ]) {
          expect(answer.status).toBe(404)
          await expectPage(answer, markup, '<script>alert', 'evil.example')
        }
    },
  },
  ...['password', 'token', 'email', 'sid', 'client_secret'].map(
    (field): Attack => ({
      name: `markup as the field ${field} of forms`,
      async attempt(world) {
        const session = await sessionOf(world)
        for (const markup of MARKUP) {
          for (const stage of STAGES.filter((each) => each !== 'm.login.dummy' && each !== 'm.login.terms')) {
            const answer = await postForm(stagePage(world, stage, session), {
              sid: 'x',
              client_secret: 'x',
              [field]: markup,
            })
            expect(answer.status).toBeLessThan(500)
            await expectPage(answer, markup, '<script>alert', '"https://evil.example')
          }
        }
      },
    }),
  ),
  ...['confirm_email', 'unsubscribe'].map(
    (page): Attack => ({
      name: `markup in the address of ${page}`,
      async attempt({ url }) {
        for (const markup of MARKUP) {
          const text = encodeURIComponent(markup)
          for (const path of [`${text}/x`, `x/${text}`, `${text}/${text}`, `1/x?${text}=${text}`])
            for (const answer of [
              await fetch(`${url}${HEARTH}/${page}/${path}`),
              await postForm(`${url}${HEARTH}/${page}/${path}`),
            ]) {
              expect(answer.status).toBeGreaterThanOrEqual(400)
              expect(answer.status).toBeLessThan(500)
              expect(await answer.text()).not.toContain(markup)
            }
        }
      },
    }),
  ),
  {
    name: 'markup in the address of the login page',
    async attempt({ url }) {
      for (const markup of MARKUP) {
        const query = new URLSearchParams({ device_id: markup, initial_device_display_name: markup, user: markup })
        const answer = await fetch(`${url}/_matrix/static/client/login/?${query}`)
        expect(answer.status).toBe(200)
        await expectPage(answer, markup, 'evil.example')
      }
    },
  },
  {
    name: 'markup in what a mail of unread messages shows',
    async attempt(world) {
      const { link } = await withMails(world)
      expect(link).toContain('/unsubscribe/')
    },
  },
  {
    name: 'line ends in addresses and fields, to add headers',
    async attempt(world) {
      const inject = '%0d%0aSet-Cookie:%20a=b%0d%0aLocation:%20https://evil.example%0d%0a%0d%0a<script>'
      const pages = [
        `${v3}/auth/m.login.password/fallback/web?session=${inject}`,
        `${v3}/auth/${inject}/fallback/web?session=x`,
        `${HEARTH}/confirm_email/${inject}/${inject}`,
        `${HEARTH}/unsubscribe/1/${inject}`,
        `/_matrix/static/client/login/?a=${inject}`,
      ]
      for (const page of pages) {
        for (const answer of [
          await fetch(world.url + page),
          await postForm(world.url + page, { email: 'a\r\nBcc: b@example.org' }),
        ]) {
          expect([answer.headers.get('set-cookie'), answer.headers.get('location')]).toEqual([null, null])
          expect(answer.status).toBeLessThan(500)
          expect(await answer.text()).not.toContain('<script>alert')
        }
      }
    },
  },
]

const LINKS: Attack[] = [
  {
    name: 'links of other kinds to go on to after confirming',
    async attempt(world) {
      const links = [
        'javascript:alert(1)',
        'JaVaScRiPt:alert(1)',
        ' javascript:alert(1)',
        'data:text/html,<script>',
        'vbscript:x',
        'file:///etc/passwd',
        'ftp://evil.example',
        '//evil.example',
        '/x',
        'https://',
        'http://[',
        'https://x\0y',
        'x'.repeat(3000),
        'blob:https://evil.example/x',
      ]
      for (const next_link of links) {
        const body = { email: `${uniqueName()}@example.org`, client_secret: 'secret', send_attempt: 1, next_link }
        const answer = await ask(world.url, { method: 'POST', path: `${v3}/register/email/requestToken`, body })
        expect([next_link, answer.status]).toEqual([next_link, 400])
      }
    },
  },
  {
    name: 'a link to go on to that hides where it leads, with markup in it',
    async attempt(world) {
      const next_link = `https://hearth.test:pw@evil.example/"onmouseover=alert(1)//<script>?q="><script>`
      const { link } = await confirmLink(world, { next_link })
      const text = await expectPage(await postForm(link), '"onmouseover', '<script>')
      expect(text).toContain('Continue to evil.example')
    },
  },
  {
    name: 'links in mails that name another host, by headers of the request',
    async attempt(world) {
      const address = `${uniqueName()}@example.org`
      await fetch(`${world.url}${v3}/register/email/requestToken`, {
        method: 'POST',
        headers: {
          'X-Forwarded-Host': 'evil.example',
          Forwarded: 'host=evil.example',
          'X-Original-URL': '/evil',
          Origin: 'https://evil.example',
        },
        body: JSON.stringify({ email: address, client_secret: 'secret', send_attempt: 1 }),
      })
      const link = await linkTo(world, address)
      expect(world.processes.map(({ url }) => url)).toContain(new URL(link).origin)
      expect(JSON.stringify(world.mails.to(address))).not.toContain('evil.example')
    },
  },
  {
    name: 'programs that look at the link of a mail, in every way that is not a click',
    async attempt(world) {
      const { link, creds } = await confirmLink(world)
      for (const method of ['GET', 'HEAD', 'OPTIONS']) expect((await fetch(link, { method })).status).toBeLessThan(300)
      for (const method of ['PUT', 'PATCH', 'DELETE']) expect((await fetch(link, { method })).status).toBe(405)
      for (const query of ['?_method=POST', '?confirm=yes'])
        await fetch(link + query, { headers: { 'X-HTTP-Method-Override': 'POST', Purpose: 'prefetch' } })
      expect(await isConfirmed(world, creds)).toBe(false)
      await postForm(link)
      expect(await isConfirmed(world, creds)).toBe(true)
    },
  },
  {
    name: 'the link of a mail, changed, cut and mixed with others',
    async attempt(world) {
      const [one, other] = [await confirmLink(world), await confirmLink(world)]
      const [, session, token] = /confirm_email\/([^/]+)\/([^/]+)$/.exec(one.link)!
      const [, , foreign] = /confirm_email\/([^/]+)\/([^/]+)$/.exec(other.link)!
      const base = `${world.url}${HEARTH}/confirm_email`
      const forms = [
        `${session}/${foreign}`,
        `${session}/${token}x`,
        `${session}/${token!.slice(1)}`,
        `${token}/${session}`,
        `${session}/`,
        `x/${token}`,
        `${session}/${token!.toLowerCase()}`,
        `${session}/..%2f${token}`,
        `${session}/%00`,
        `${session}/${'x'.repeat(7000)}`,
      ]
      for (const form of forms) expect((await postForm(`${base}/${form}`)).status).toBeGreaterThanOrEqual(400)
      expect(await isConfirmed(world, one.creds)).toBe(false)
    },
  },
  {
    name: 'the link of a mail, followed again, and after its proof was used',
    async attempt(world) {
      const { link, creds, address } = await confirmLink(world)
      const answers = await Promise.all([1, 2, 3].map(() => postForm(link)))
      for (const { status } of answers) expect(status).toBe(200)
      const body = {
        username: uniqueName(),
        password: PASSWORD,
        auth: { type: 'm.login.email.identity', threepid_creds: creds },
      }
      expect((await ask(world.url, { method: 'POST', path: `${v3}/register`, body })).status).toBe(200)
      for (const answer of [await postForm(link), await fetch(link)]) {
        expect(answer.status).toBe(404)
        await expectPage(answer, address)
      }
    },
  },
  {
    name: 'forms of other sites that send to the link of a mail',
    async attempt(world) {
      const { link, creds } = await confirmLink(world)
      // Without the mail the link cannot be guessed; no cookie replaces it.
      const guess = link.replace(/[^/]+$/, 'x'.repeat(32))
      const headers = {
        Origin: 'https://evil.example',
        'Sec-Fetch-Site': 'cross-site',
        Cookie: 'session=1; access_token=x',
      }
      const answer = await fetch(guess, { method: 'POST', headers, body: 'a=b' })
      expect([answer.status, answer.headers.get('access-control-allow-credentials')]).toEqual([404, null])
      expect(await isConfirmed(world, creds)).toBe(false)
    },
  },
]

const UNSUBSCRIBING: Attack[] = [
  {
    name: 'looking at the link that ends mails',
    async attempt(world) {
      const { victim, link } = await withMails(world)
      for (const method of ['GET', 'HEAD', 'OPTIONS']) expect((await fetch(link, { method })).status).toBeLessThan(300)
      for (const method of ['PUT', 'PATCH', 'DELETE']) expect((await fetch(link, { method })).status).toBe(405)
      expect(await pushersOf(victim)).toBe(1)
      await expectPage(await fetch(link), '<script>alert')
    },
  },
  {
    name: 'the link that ends mails, for the mails of another user',
    async attempt(world) {
      const [own, other] = [await withMails(world), await withMails(world)]
      const [, id, token] = /unsubscribe\/(\d+)\/([^/]+)$/.exec(own.link)!
      const [, foreign] = /unsubscribe\/(\d+)\/([^/]+)$/.exec(other.link)!
      const base = `${world.url}${HEARTH}/unsubscribe`
      const forms = [
        `${foreign}/${token}`,
        `${foreign}/`,
        `${foreign}/${'A'.repeat(43)}`,
        `${foreign}/${token}%00`,
        `-1/${token}`,
        `1e3/${token}`,
        `0x1/${token}`,
        `${id}.5/${token}`,
        `9007199254740993/${token}`,
        `${'9'.repeat(40)}/${token}`,
        `null/${token}`,
      ]
      for (const form of forms) expect((await postForm(`${base}/${form}`)).status).toBeGreaterThanOrEqual(400)
      expect([await pushersOf(own.victim), await pushersOf(other.victim)]).toEqual([1, 1])
      for (let time = 0; time < 2; time++)
        await expectPage(await postForm(own.link, { 'List-Unsubscribe': 'One-Click' }))
      expect([await pushersOf(own.victim), await pushersOf(other.victim)]).toEqual([0, 1])
    },
  },
]

describeAttacks('pages', [...INJECTION, ...LINKS, ...UNSUBSCRIBING, ...ATTACKS_ON_FORMS], {
  email: { digest_delay: '200ms' },
})
