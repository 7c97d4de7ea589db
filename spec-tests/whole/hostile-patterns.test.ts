import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request as send } from 'undici'
import { expect } from 'vitest'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { createRoom, joinRoom, roomPath, sendEvent, sendState, syncUntil, v3 } from '../harness/rooms.ts'

/** The maximum length in an event. */
const LONG = 'a'.repeat(63_000)
const HEADER = 15_000
const highlight = ['notify', { set_tweak: 'highlight' }]

type Rule = { kind: string; body: object }
const word = (pattern: string): Rule => ({ kind: 'content', body: { actions: highlight, pattern } })
const rule = (...conditions: object[]): Rule => ({ kind: 'override', body: { actions: highlight, conditions } })
const match = (key: string, pattern: string) => rule({ kind: 'event_match', key, pattern })

/**
 * Returns a row about messages that the victim's own rules must not match: each is one notification by the default
 * rules.
 */
function pushRules(
  name: string,
  rules: readonly Rule[],
  content: object = {},
  { type = 'm.room.message', count = 1 } = {},
): Attack {
  return {
    name,
    async attempt({ url, alice, roomId }) {
      const mallory = await registerUser(url)
      await joinRoom(roomId, mallory)
      for (const [place, { kind, body }] of rules.entries()) {
        await mallory.put(`${v3}/pushrules/global/${kind}/${place}`, body)
      }
      const { next_batch: since } = await mallory.get(`${v3}/sync`)
      const message = { msgtype: 'm.text', body: LONG, ...content }
      let eventId = ''
      for (let sent = 0; sent < count; sent++) eventId = await sendEvent(alice, roomId, message, type)
      const counts = await syncUntil(mallory, since, (body) => {
        const room = body.rooms?.join?.[roomId]
        return room?.timeline.events.some(hasId(eventId)) && room.unread_notifications
      })
      expect(counts).toEqual({ notification_count: type === 'm.room.message' ? count : 0, highlight_count: 0 })
    },
  }
}

const hasId =
  (eventId: string) =>
  ({ event_id }: { event_id: string }) =>
    event_id === eventId

const many = (count: number, made: (place: number) => object) =>
  rule(...Array.from({ length: count }, (_, i) => made(i)))

const PUSH_RULES: Attack[] = [
  pushRules('a keyword with ? before 8,000 characters', [word(`*?${'a'.repeat(8000)}b*`)], {}, { count: 25 }),
  pushRules('a keyword with ? inside 240 characters', [word(`${'a'.repeat(120)}?${'a'.repeat(120)}b`)]),
  pushRules('a keyword with ? after each character', [word(`${'a?'.repeat(120)}b`)]),
  pushRules('a keyword of * after each character', [word(`${'a*'.repeat(4000)}b`)]),
  pushRules('a keyword of * and ? in turn', [word(`${'*?'.repeat(4000)}b`)]),
  pushRules('a keyword of 8,000 characters that ends otherwise', [word(`${'a'.repeat(8000)}b`)]),
  pushRules('a keyword that differs in its middle', [word(`${'a'.repeat(4000)}b${'a'.repeat(4000)}`)]),
  pushRules('a keyword of pictures', [word(`${'🎉?'.repeat(100)}b`)], { body: '🎉'.repeat(15_000) }),
  pushRules('a keyword that begins in every word and ends in none', [word('a a a')], { body: 'aa a '.repeat(12_000) }),
  pushRules('200 keywords with ?', [
    ...Array.from({ length: 200 }, (_, place) => word(`a?${'a'.repeat(30)}${String.fromCodePoint(0x4e00 + place)}`)),
  ]),
  pushRules('a pattern for another property', [match('content.formatted_body', `*?${'a'.repeat(4000)}b*`)], {
    formatted_body: LONG.slice(0, 30_000),
    body: 'x',
  }),
  pushRules('2,000 patterns in one rule', [
    many(2000, () => ({ kind: 'event_match', key: 'content.body', pattern: 'a*b' })),
  ]),
  pushRules('5,000 patterns for the sender', [
    many(5000, () => ({ kind: 'event_match', key: 'sender', pattern: '*?*?*:*?*?*z' })),
  ]),
  pushRules('5,000 patterns for the room', [
    many(5000, () => ({ kind: 'event_match', key: 'room_id', pattern: '*?*?*?*?*?*!' })),
  ]),
  pushRules(
    '5,000 patterns for the type',
    [many(5000, () => ({ kind: 'event_match', key: 'type', pattern: `*?${'a*'.repeat(20)}b` }))],
    {},
    { type: `test.${'a'.repeat(200)}` },
  ),
  pushRules('5,000 counts of members', [many(5000, () => ({ kind: 'room_member_count', is: '<1' }))]),
  pushRules(
    '2,000 looks into a list of 10,000',
    [many(2000, (place) => ({ kind: 'event_property_contains', key: 'content.list', value: `${place}` }))],
    { body: 'x', list: Array.from({ length: 10_000 }, (_, place) => place) },
  ),
  pushRules(
    'a keyword after 100 that take all steps',
    [word('bbb'), ...Array.from({ length: 100 }, (_, place) => word(`${place}?x`))],
    { body: `${LONG.slice(0, 60_000)} bbb` },
  ),
  pushRules('a path of 10,000 names', [
    rule({ kind: 'event_property_is', key: `content${'.a'.repeat(10_000)}`, value: 1 }),
  ]),
  pushRules('the display name, 30 times', [many(30, () => ({ kind: 'contains_display_name' }))]),
]

/** Returns a row about a filter that matches nothing: the response must be small. */
function filter(
  name: string,
  types: readonly string[],
  read: (user: TestUser, filter: string, room: string) => string,
) {
  return {
    name,
    async attempt({ url, alice, roomId }: HostileWorld) {
      const mallory = await registerUser(url)
      await joinRoom(roomId, mallory)
      await sendEvent(alice, roomId, {}, 'a'.repeat(250))
      const path = read(mallory, encodeURIComponent(JSON.stringify({ types })), roomId)
      const answer = await mallory.get(path)
      expect(answer.chunk ?? answer.rooms?.join?.[roomId]?.timeline?.events ?? answer.events_after ?? []).toEqual([])
    },
  }
}

const inSync = (_user: TestUser, types: string) => `${v3}/sync?filter=%7B%22room%22:%7B%22timeline%22:${types}%7D%7D`
const inMessages = (_user: TestUser, types: string, room: string) =>
  `${roomPath(room, 'messages')}?dir=b&filter=${types}`
const STARS = `${'a*'.repeat(100)}b`

const FILTERS: Attack[] = [
  filter('/sync with a type of many *', [STARS], inSync),
  filter('/sync with 50 types of many *', Array(50).fill(STARS.slice(100)), inSync),
  filter('/messages with a type of many *', [STARS], inMessages),
  filter('/messages with a type of * alone, then a letter', [`${'*'.repeat(1000)}b`], inMessages),
  filter(
    '/messages with what is special in SQL',
    ['%', '_', 'a\\', `${'%'.repeat(500)}b`, 'm.room._essage'],
    inMessages,
  ),
  {
    name: 'a stored filter of 500 types of many *',
    async attempt({ url, roomId }) {
      const mallory = await registerUser(url)
      await joinRoom(roomId, mallory)
      const types = Array.from({ length: 500 }, (_, place) => `${'a*'.repeat(20)}${place}`)
      const path = `${v3}/user/${encodeURIComponent(mallory.userId)}/filter`
      const { filter_id } = await mallory.post(path, { room: { timeline: { types }, state: { types } } })
      expect(
        (await mallory.get(`${v3}/sync?filter=${filter_id}`)).rooms?.join?.[roomId]?.timeline?.events ?? [],
      ).toEqual([])
    },
  },
]

/**
 * Returns a row about an ACL of a room of Mallory that the peer has joined; the peer stays allowed, and its events
 * arrive.
 */
function acl(name: string, lists: { allow: string[]; deny?: string[] }, isAllowed = true): Attack {
  return {
    name,
    async attempt({ url, home, peer }) {
      const mallory = await registerUser(url)
      const roomId = await createRoom(mallory)
      const event = await peer.join(home, roomId)
      await sendState(mallory, roomId, { type: 'm.room.server_acl', content: { allow_ip_literals: true, ...lists } })
      const body = { origin: peer.serverName, origin_server_ts: Date.now(), pdus: [event] }
      const { pdus } = await peer.ask(home, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, body)
      expect(Object.values(pdus as Record<string, { error?: string }>).map(({ error }) => error === undefined)).toEqual(
        [isAllowed],
      )
    },
  }
}

const ACLS: Attack[] = [
  acl('an ACL that denies by many *', { allow: ['*'], deny: [`${'*l*o*c*a*l*h*o*s*t'.repeat(3000)}!`] }),
  acl('an ACL that denies by many ?', { allow: ['*'], deny: [`*${'?'.repeat(50_000)}*`] }),
  acl('an ACL that denies by 5,000 patterns', { allow: ['*'], deny: Array(5000).fill('*?*?*?!') }),
  acl('an ACL that allows by many *', { allow: ['*l*'.repeat(10_000)] }, false),
  {
    name: 'whom to let invite, by patterns of many * and ?',
    async attempt({ url, alice }) {
      const mallory = await registerUser(url)
      const path = `${v3}/user/${encodeURIComponent(mallory.userId)}/account_data`
      const patterns = Array.from({ length: 3000 }, () => `@${'*?'.repeat(60)}:!*`)
      const config = { enabled: true, blocked_users: patterns, ignored_servers: patterns }
      await mallory.put(`${path}/org.matrix.msc4155.invite_permission_config`, config)
      const room = await createRoom(alice, { invite: [mallory.userId] })
      expect(Object.keys((await mallory.get(`${v3}/sync`)).rooms.invite)).toEqual([room])
    },
  },
]

const registrationFile = join(mkdtempSync(join(tmpdir(), 'hearth-hostile-')), 'bridge.yaml')
writeFileSync(
  registrationFile,
  JSON.stringify({
    id: 'bridge',
    url: null,
    as_token: 'as-token',
    hs_token: 'hs-token',
    sender_localpart: 'bridge',
    namespaces: {
      users: [{ exclusive: true, regex: '@([a-z]+)+_bridge:.*' }],
      aliases: [{ exclusive: true, regex: '#(_|.)*bridge!' }],
      rooms: [{ exclusive: false, regex: '!(.*)*bridge!' }],
    },
  }),
)

const NAMESPACES: Attack[] = [
  {
    name: 'a user id on which the regular expression of a namespace would go back for ever',
    async attempt({ url }) {
      const user = await registerUser(url, `${uniqueName('a').replaceAll(/[^a-z]/g, 'a')}${'a'.repeat(150)}`)
      expect((await user.get(`${v3}/account/whoami`)).user_id).toBe(user.userId)
    },
  },
  {
    name: 'whether such a user id is free',
    async attempt({ url }) {
      const path = `${v3}/register/available?username=${'a'.repeat(200)}`
      expect((await ask(url, { method: 'GET', path })).body).toEqual({ available: true })
    },
  },
  {
    name: 'an alias on which one would',
    async attempt({ alice, home, roomId }) {
      const alias = encodeURIComponent(`#${'_'.repeat(150)}${uniqueName()}:${home.serverName}`)
      await alice.put(`${v3}/directory/room/${alias}`, { room_id: roomId })
      expect((await alice.get(`${v3}/directory/room/${alias}`)).room_id).toBe(roomId)
    },
  },
]

const searchFor = (term: string) => ({ search_categories: { room_events: { search_term: term } } })

const SEARCHES: Attack[] = [
  {
    name: 'a message of one run without spaces, which is indexed',
    async attempt({ alice, roomId }) {
      const name = 'ぬるぽ'
      const eventId = await sendEvent(alice, roomId, { msgtype: 'm.text', body: name + 'あ'.repeat(20_000) })
      const found = (await alice.post(`${v3}/search`, searchFor(name))).search_categories.room_events
      expect(found.results.map(({ result }: { result: { event_id: string } }) => result.event_id)).toContain(eventId)
    },
  },
  {
    name: 'a message of characters that become many',
    async attempt({ alice, roomId }) {
      const eventId = await sendEvent(alice, roomId, { msgtype: 'm.text', body: `quagmire ${'ﷺ'.repeat(20_000)}` })
      const found = (await alice.post(`${v3}/search`, searchFor('quagmire'))).search_categories.room_events
      expect(found.results.map(({ result }: { result: { event_id: string } }) => result.event_id)).toContain(eventId)
    },
  },
  ...['あ', 'aあ', '\u0300', 'a ', 'ﷺ', '👍'].map(
    (text): Attack => ({
      name: `a search for 2,000,000 of ${JSON.stringify(text)}`,
      async attempt({ alice }) {
        const { status } = await alice.ask('POST', `${v3}/search`, searchFor(text.repeat(2_000_000 / text.length)))
        expect(status).toBe(200)
      },
    }),
  ),
  {
    name: 'a search for users by 1,000,000 characters',
    async attempt({ alice }) {
      const answer = await alice.post(`${v3}/user_directory/search`, { search_term: 'あ'.repeat(1_000_000) })
      expect(answer).toEqual({ results: [], limited: false })
    },
  },
  {
    name: 'a search for rooms by 29,000 characters, of which one has nearly all',
    async attempt({ alice }) {
      await createRoom(alice, { topic: LONG.slice(0, 30_000), visibility: 'public' })
      const filter = { generic_search_term: `${LONG.slice(0, 29_000)}b` }
      expect((await alice.post(`${v3}/publicRooms`, { filter })).chunk).toBeInstanceOf(Array)
    },
  },
  {
    name: 'a search for rooms by what is special in SQL',
    async attempt({ alice }) {
      const filter = { generic_search_term: `${'%_'.repeat(50)}\\` }
      expect((await alice.post(`${v3}/publicRooms`, { filter })).chunk).toEqual([])
    },
  },
]

/** Returns a row about a request with a hostile header or path, to the client or the federation port. */
function request(
  name: string,
  to: 'clients' | 'servers',
  path: (world: HostileWorld) => string,
  headers: Record<string, string>,
  status: number,
): Attack {
  return {
    name,
    async attempt(world) {
      const ca = readFileSync(world.federation.authority.certificate)
      const dispatcher = new Agent({ connect: { ca } })
      const base = to === 'clients' ? world.url : `https://localhost:${world.home.federationPort}`
      const answer = await send(base + path(world), { dispatcher, headers })
      expect([answer.statusCode, await answer.body.text()]).toEqual([status, expect.anything()])
      await dispatcher.close()
    },
  }
}

const federated = () => '/_matrix/federation/v1/version'
const signed = ({ roomId }: HostileWorld) => `/_matrix/federation/v1/state_ids/${encodeURIComponent(roomId)}`
const whoami = () => `${v3}/account/whoami`

const HEADERS: Attack[] = [
  request('X-Matrix with many blanks', 'servers', signed, { authorization: `X-Matrix a=${' '.repeat(HEADER)}"` }, 401),
  request('X-Matrix with many tabs', 'servers', signed, { authorization: `X-Matrix a=x${'\t'.repeat(HEADER)}"` }, 401),
  request(
    'X-Matrix with many backslashes',
    'servers',
    signed,
    { authorization: `X-Matrix a="${'\\'.repeat(HEADER)}` },
    401,
  ),
  request('X-Matrix with many commas', 'servers', signed, { authorization: `X-Matrix ${','.repeat(HEADER)}` }, 401),
  request(
    'X-Matrix with many parameters',
    'servers',
    signed,
    { authorization: `X-Matrix ${'a=b,'.repeat(3000)}` },
    401,
  ),
  request('a token of many blanks', 'clients', whoami, { authorization: `Bearer ${' '.repeat(HEADER)}x` }, 401),
  request(
    'addresses of many dots and commas',
    'servers',
    federated,
    { 'x-forwarded-for': '1.,'.repeat(HEADER / 3) },
    200,
  ),
  request('an address of many colons', 'servers', federated, { 'x-forwarded-for': ':'.repeat(HEADER) }, 200),
  request('a program of many blanks', 'servers', federated, { 'user-agent': `(${' '.repeat(HEADER)}` }, 200),
  request('a server name of many dots', 'servers', () => `/_matrix/key/v2/query/${'1.'.repeat(110)}`, {}, 200),
  request('a server name of many colons', 'servers', () => `/_matrix/key/v2/query/${'%5B::'.repeat(2000)}`, {}, 400),
  request('a path of many slashes', 'clients', () => '/_matrix/client/v3'.padEnd(HEADER, '/'), {}, 404),
  request('a path of many percent signs', 'clients', () => `/_matrix/client/v3/profile/${'%25'.repeat(4000)}`, {}, 400),
  {
    name: 'a range of many blanks, and of many digits',
    async attempt({ url, alice }) {
      const path = await uploaded(alice, 'text/plain')
      for (const range of [`bytes=${' '.repeat(HEADER)}x`, `bytes=0-${'9'.repeat(HEADER)}`]) {
        const answer = await fetch(url + path, { headers: { range, authorization: `Bearer ${alice.accessToken}` } })
        expect([200, 206]).toContain(answer.status)
        expect(await answer.text()).toBe('content')
      }
    },
  },
  ...[
    ['many parameters', `text/plain${';a=b'.repeat(3000)}x;`],
    ['many blanks', `text/plain;${' '.repeat(HEADER)}=`],
    ['many quotes', `text/plain;a="${'\\"'.repeat(HEADER / 2)}`],
    ['many slashes', '/'.repeat(HEADER)],
  ].map(
    ([what, type]): Attack => ({
      name: `a content type of ${what}`,
      async attempt({ url, alice }) {
        const path = await uploaded(alice, type!)
        const answer = await fetch(url + path, { headers: { authorization: `Bearer ${alice.accessToken}` } })
        expect(await answer.text()).toBe('content')
        expect(answer.headers.get('content-type')!.length).toBeLessThan(300)
      },
    }),
  ),
  {
    name: 'a file name of many dots and slashes',
    async attempt({ url, alice }) {
      const path = await uploaded(alice, 'text/plain', `?filename=${'./'.repeat(6000)}`)
      const answer = await fetch(url + path, { headers: { authorization: `Bearer ${alice.accessToken}` } })
      expect(await answer.text()).toBe('content')
    },
  },
  ...[`${'a.'.repeat(2000)}@`, `a@${'a.'.repeat(2000)}`, `${' '.repeat(5000)}@`, `"${'\\"'.repeat(2000)}@x`].map(
    (email, place): Attack => ({
      name: `an e-mail address that is none, ${place + 1}`,
      async attempt({ url }) {
        const body = { email, client_secret: 'secret', send_attempt: 1 }
        const path = `${v3}/register/email/requestToken`
        expect((await ask(url, { method: 'POST', path, body })).status).toBe(400)
      },
    }),
  ),
  {
    name: 'an event to read fields of, by paths of many dots and backslashes',
    async attempt({ url, alice }) {
      const event_fields = [`content.${'a.'.repeat(2000)}`, `content.${'\\.'.repeat(1000)}`]
      const filter = encodeURIComponent(JSON.stringify({ event_fields }))
      const headers = { authorization: `Bearer ${alice.accessToken}` }
      expect((await fetch(`${url}${v3}/sync?filter=${filter}`, { headers })).status).toBe(200)
    },
  },
]

async function uploaded(user: TestUser, type: string, query = ''): Promise<string> {
  const answer = await fetch(`${user.url}/_matrix/media/v3/upload${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${user.accessToken}`, 'content-type': type },
    body: 'content',
  })
  expect(answer.status).toBe(200)
  const { content_uri } = (await answer.json()) as { content_uri: string }
  return `/_matrix/client/v1/media/download/${content_uri.slice('mxc://'.length)}`
}

describeAttacks('patterns', [...PUSH_RULES, ...FILTERS, ...ACLS, ...NAMESPACES, ...SEARCHES, ...HEADERS], {
  appservices: [registrationFile],
})
