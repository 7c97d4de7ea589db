import { ACCOUNT_RECIPES } from './account-recipes.ts'
import type { Draw } from './draw.ts'
import { hostileJson, hostileText, writeJson } from './hostile-json.ts'
import type { Actor, KnownRoom } from './known-values.ts'
import { mutate } from './mutate.ts'
import type { FuzzedOperation } from './operations.ts'
import { fillIn, type Kind, kindOfName, referTo } from './references.ts'
import type { FuzzRequest, Recipe, RequestDraft } from './request-draft.ts'
import { ROOM_RECIPES } from './room-recipes.ts'
import { SERVER_RECIPES } from './server-recipes.ts'

const RECIPES: Record<string, Recipe> = { ...ACCOUNT_RECIPES, ...ROOM_RECIPES, ...SERVER_RECIPES }
const FOLLOWS_RECIPE = 0.85
const LONG_POLLS = /\/(sync|events)$|\/events\?/

/** The changes to a draft. `as it is`: about half of all requests, so that later requests have valid objects. */
const CHANGES = {
  'as it is': 55,
  body: 22,
  query: 8,
  path: 8,
  'query and body': 3,
  headers: 2,
  'raw body': 2,
}

export type Asker = {
  draw: Draw
  actor: Actor
  room: KnownRoom
  recall(kind: Kind): string
}

/** Returns a request of an operation, valid or with an error. */
export function makeRequest(operation: FuzzedOperation, making: Asker): FuzzRequest {
  const { draw, recall } = making
  const draft = draftOf(operation, making)
  const change = draw.weighted(CHANGES)
  if (change === 'query' || change === 'query and body') changeQuery(draw, draft)
  if (change === 'path') changePath(draw, draft)
  // Sometimes sends a body where none belongs.
  const isForBody = draft.body !== undefined || draw.happens(0.1)
  if (isForBody && (change === 'body' || change === 'query and body')) draft.body = mutateTimes(draw, draft.body)
  const body = bodyOf(draft, recall)
  const params = Object.entries(draft.params).map(([name, value]) => [name, textOf(fillIn(value, recall))] as const)
  return {
    operation: operation.name,
    method: operation.method,
    path: pathOf(operation, Object.fromEntries(params)) + queryOf(draft, recall),
    named: params.flatMap(([name, value]) => (TOLD[name] ? [[TOLD[name], value] as [Kind, string]] : [])),
    headers: headersOf({ making, operation, draft, isChanged: change === 'headers' }),
    ...(body !== undefined && { body: change === 'raw body' ? breakText(draw, body) : body }),
    isChanged: change !== 'as it is',
    by: `${making.actor.role} ${making.actor.userId}`,
    isLongPoll: LONG_POLLS.test(operation.path) || operation.query.includes('timeout_ms'),
  }
}

function draftOf(operation: FuzzedOperation, making: Asker): RequestDraft {
  const { draw } = making
  const query = Object.entries(operation.queryValues)
    .filter(([name]) => operation.requiredQuery.includes(name) || draw.happens(0.4))
    .map(([name, values]) => [name, draw.value(values)])
  const params = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, paramOf(name!, operation, making)])
  const draft: RequestDraft = {
    params: Object.fromEntries(params),
    query: Object.fromEntries(query),
    headers: {},
    ...(operation.bodyValues.length > 0 && { body: draw.value(draw.pick(operation.bodyValues)) }),
  }
  const recipe = RECIPES[operation.name]
  if (!recipe || !draw.happens(FOLLOWS_RECIPE)) return draft
  const followed = recipe({ ...making, operation })
  return { ...draft, ...followed, params: { ...draft.params, ...followed.params } }
}

/** Values of path parameters that are not IDs. */
const FIXED: Record<string, readonly string[]> = {
  appserviceId: ['fuzz'],
  authType: ['m.login.dummy', 'm.login.password', 'm.login.email.identity', 'm.login.terms'],
  fileName: ['a.png', 'ü.txt'],
  idpId: ['x'],
  keyName: ['displayname', 'avatar_url', 'm.tz'],
  kind: ['override', 'content', 'room', 'sender', 'underride'],
  networkId: ['irc'],
  protocol: ['irc'],
  pushkey: ['1'],
  queryType: ['directory', 'profile'],
  receiptType: ['m.read', 'm.read.private', 'm.fully_read'],
  relType: ['m.thread', 'm.annotation', 'm.reference', 'm.replace'],
  scope: ['global'],
  signature: ['x'],
  tag: ['m.favourite', 'm.lowpriority', 'u.fuzz'],
}

function paramOf(name: string, { path }: FuzzedOperation, { draw, actor }: Asker): unknown {
  const fixed = FIXED[name]
  if (fixed) return draw.pick(fixed)
  if (path.includes('/admin/')) return referTo('user')
  if (name === 'userId' && draw.happens(0.8)) return actor.userId
  if (name === 'sessionId' && path.includes('rendezvous')) return referTo('rendezvous')
  if (name === 'threadId') return referTo('event')
  if (name === 'serverName' && path.includes('/media/') && draw.happens(0.8)) return referTo('own server')
  const kind = kindOfName(name)
  return kind ? referTo(kind) : 'x'
}

function mutateTimes(draw: Draw, value: unknown): unknown {
  const times = draw.pick([1, 1, 1, 2, 4])
  return Array.from({ length: times }).reduce((current: unknown) => mutate(draw, current), value ?? {})
}

function changeQuery(draw: Draw, draft: RequestDraft): void {
  const names = Object.keys(draft.query)
  const name =
    names.length > 0 && draw.happens(0.85) ? draw.pick(names) : draw.pick(['any', 'user_id', 'limit', 'from'])
  const current = draft.query[name]
  draft.query[name] = draw.pick<unknown>([
    draw.value(hostileText),
    [current, current],
    `${current}x`,
    '-1',
    '1e9',
    '{"',
  ])
}

function changePath(draw: Draw, draft: RequestDraft): void {
  const names = Object.keys(draft.params)
  if (names.length === 0) {
    changeQuery(draw, draft)
    return
  }
  const value = draw.happens(0.7) ? draw.value(hostileText) : referTo(draw.pick(['user', 'room', 'event', 'alias']))
  draft.params[draw.pick(names)] = value
}

/** Path parameters whose objects exist once a request was accepted. */
const TOLD: Record<string, Kind> = {
  deviceId: 'device',
  roomAlias: 'alias',
  sessionId: 'key id',
  tag: 'tag',
  type: 'account data type',
}

function pathOf(operation: FuzzedOperation, params: Record<string, string>): string {
  return operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encode(params[name] ?? 'x'))
}

function queryOf(draft: RequestDraft, recall: (kind: Kind) => string): string {
  const query = Object.entries(draft.query).flatMap(([name, value]) =>
    [fillIn(value, recall)].flat().map((each) => `${encode(name)}=${encode(textOf(each))}`),
  )
  return query.length > 0 ? `?${query.join('&')}` : ''
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** As `encodeURIComponent`, which throws for a lone surrogate; that is sent as the bytes it would have. */
function encode(text: string): string {
  return text
    .split(/([\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff])/)
    .map((part, i) => (i % 2 === 1 ? '%ED%A0%80' : encodeURIComponent(part)))
    .join('')
}

function bodyOf(draft: RequestDraft, recall: (kind: Kind) => string): string | Buffer | undefined {
  if (draft.bytes !== undefined) return draft.bytes
  if (draft.body === undefined) return undefined
  const body = fillIn(draft.body, recall)
  return writeJson(draft.finish ? draft.finish(body) : body)
}

type Headers = { making: Asker; operation: FuzzedOperation; draft: RequestDraft; isChanged: boolean }

function headersOf({ making: { draw, actor, recall }, operation, draft, isChanged }: Headers): Record<string, string> {
  const needsToken = operation.auth !== 'none' || draw.happens(0.2)
  const headers: Record<string, string> = {
    ...(needsToken && { authorization: `Bearer ${actor.token}` }),
    ...(draft.body !== undefined && { 'content-type': 'application/json' }),
    ...headerValues(fillIn(draft.headers, recall) as Record<string, string>),
  }
  if (!isChanged) return headers
  return { ...headers, ...draw.pick(ODD_HEADERS) }
}

/** Drops characters that no client can send in a header. */
function headerValues(headers: Record<string, string>): Record<string, string> {
  const cleaned = Object.entries(headers).map(([name, value]) => [name, value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '')])
  return Object.fromEntries(cleaned)
}

const ODD_HEADERS: readonly Record<string, string>[] = [
  { authorization: 'Bearer' },
  { authorization: 'Bearer x' },
  { authorization: `Basic ${'x'.repeat(5000)}` },
  { authorization: 'X-Matrix origin="elsewhere.test",key="ed25519:x",sig="x"' },
  { 'content-type': 'text/plain; charset=utf-16' },
  { 'content-type': 'multipart/form-data; boundary=x' },
  { 'content-encoding': 'gzip' },
  { 'content-encoding': 'br' },
  { range: 'bytes=0-0,1-1,2-' },
  { range: `bytes=-${'9'.repeat(40)}` },
  { 'if-match': '*' },
  { 'if-none-match': '"x", W/"y"' },
  { 'x-forwarded-for': '1.2.3.4, not an address, ::1' },
  { 'x-forwarded-for': `${'1.1.1.1,'.repeat(500)}1.1.1.1` },
  { origin: 'null' },
  { accept: '*/*;q=x' },
  { 'accept-language': 'x'.repeat(2000) },
  { 'user-agent': '\u00ff\u00fe'.repeat(300) },
  { host: 'elsewhere.test' },
  { cookie: 'a=b' },
]

function breakText(draw: Draw, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body as string)
  const at = draw.below(bytes.length + 1)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  const broken = [
    before,
    Buffer.concat([before, Buffer.from([0xff, 0xfe]), after]),
    Buffer.concat([before, Buffer.from('\0'), after]),
    Buffer.concat([bytes, bytes]),
    Buffer.from(bytes.toString(), 'utf16le'),
    Buffer.from(JSON.stringify([draw.happens(0.5)])),
    Buffer.from(writeJson(draw.value(hostileJson))),
    Buffer.alloc(0),
  ]
  return draw.pick(broken)
}
