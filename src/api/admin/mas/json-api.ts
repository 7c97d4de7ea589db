import { z } from 'zod'
import type { App } from '../../../app.ts'
import { parseUlid, type Ulid } from '../../../core/ulid.ts'
import type { UlidPage } from '../../../storage/engine/ulid-pages.ts'
import { type AnyEndpoint, type Endpoint, type ErrorAnswer, Reply, route } from '../../http/route.ts'

/**
 * The admin API of the Matrix Authentication Service, which Element Admin and Ketesa use:
 * https://element-hq.github.io/matrix-authentication-service/api/index.html
 */
export const mas = (path: string) => `/api/admin/v1${path}`

/** The last millisecond that RFC 3339 can name. */
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')
const MAX_PAGE = 1000
const DEFAULT_PAGE = 10
const MAX_REPEATED = 100

/** A ULID in a path, a query or a body. */
export const ulid = z.string().transform((text, context): Ulid => {
  const parsed = parseUlid(text)
  if (parsed) return parsed
  context.addIssue({ code: 'custom', message: 'is not a ULID' })
  return z.NEVER
})

export const ofId = z.object({ id: ulid })

/** A time of RFC 3339, in milliseconds since 1970. */
export const dateTime = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))

/** A parameter of a query that may be repeated. */
export const repeated = <Item extends z.ZodType>(item: Item) =>
  z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(item).max(MAX_REPEATED))

/** Returns a time in the form of RFC 3339. */
export function rfc3339(ts: number): string {
  return new Date(Math.min(ts, LAST_MS)).toISOString()
}

/** Returns an optional time in the form of RFC 3339; `never`: a value that stands for none, beside null. */
export function maybeRfc3339(ts: number | null, never: number | null = null): string | null {
  return ts === null || ts === never ? null : rfc3339(ts)
}

/** An object of the API. */
export type Resource = { id: string; attributes: Record<string, unknown> }

/** A kind of objects: the name of its type, and the path of its list. */
export type Kind = { type: string; path: string }

/** Returns the answer about one object. `self`: the path of the request, if it is another than that of the object. */
export function single(kind: Kind, resource: Resource, self?: string): object {
  const data = dataOf(kind, resource)
  return { data, links: { self: self === undefined ? data.links.self : `${data.links.self}/${self}` } }
}

function dataOf({ type, path }: Kind, { id, attributes }: Resource) {
  return { type, id, attributes, links: { self: `${path}/${id}` } }
}

/** Declares an endpoint of the API: for administrators whose token has its scope. */
export function masRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  endpoint: Omit<Endpoint<'admin', Params, Query, Body>, 'auth' | 'needsScope' | 'renderError'>,
): Endpoint<'admin', Params, Query, Body> {
  return route({ ...endpoint, auth: 'admin', needsScope: 'mas', renderError })
}

/** Errors for names and addresses that belong to another user. */
const CONFLICTS: readonly unknown[] = ['M_USER_IN_USE', 'M_THREEPID_IN_USE', 'M_LINKED_ELSEWHERE']

function renderError({ status, body }: ErrorAnswer): Reply {
  return new Reply(CONFLICTS.includes(body.errcode) ? 409 : status, { errors: [{ title: body.error }] })
}

const page = z.object({
  'page[first]': z.coerce.number().int().min(1).max(MAX_PAGE).optional(),
  'page[last]': z.coerce.number().int().min(1).max(MAX_PAGE).optional(),
  'page[after]': ulid.optional(),
  'page[before]': ulid.optional(),
  count: z.enum(['true', 'false', 'only']).default('true'),
})

type PageQuery = z.output<typeof page>

/** The rows of a list. */
export type Rows<Row> = { list(page: UlidPage): Promise<Row[]>; count(): Promise<number> }

/** A list without rows, for filters of which nothing can come. */
export const NO_ROWS: Rows<never> = { list: async () => [], count: async () => 0 }

/** Declares the list of a kind of objects: `find` reads the filters, and `describe` makes an object of a row. */
export function masList<Row, Filters extends z.ZodRawShape>(
  kind: Kind,
  {
    filters,
    find,
    describe,
  }: {
    filters: Filters
    find(filters: z.output<z.ZodObject<Filters>>, app: App): Promise<Rows<Row>> | Rows<Row>
    describe(row: Row): Resource
  },
): AnyEndpoint {
  return masRoute({
    method: 'GET',
    path: kind.path,
    query: page.and(z.object(filters)),
    async handle({ query, request }, app) {
      const asked = query as PageQuery & z.output<z.ZodObject<Filters>>
      const rows = await find(asked, app)
      const meta = asked.count === 'false' ? {} : { meta: { count: await rows.count() } }
      const parameters = new URL(request.raw.url!, 'http://path').searchParams
      if (asked.count === 'only') return { ...meta, links: { self: linkOf(kind, parameters, {}) } }
      const found = await pageOf(rows, asked)
      const data = found.rows.map((row) => {
        const each = dataOf(kind, describe(row))
        return { ...each, meta: { page: { cursor: each.id } } }
      })
      return { ...meta, data, links: linksOf(kind, { parameters, asked, hasMore: found.hasMore, ids: data }) }
    },
  })
}

/** Reads one row more than asked for, to learn whether there are more. */
async function pageOf<Row>(rows: Rows<Row>, asked: PageQuery): Promise<{ rows: Row[]; hasMore: boolean }> {
  const fromEnd = isFromEnd(asked)
  const limit = limitOf(asked)
  const between = { after: asked['page[after]'] ?? null, before: asked['page[before]'] ?? null }
  const read = await rows.list({ ...between, fromEnd, limit: limit + 1 })
  const shown = read.slice(0, limit)
  return { rows: fromEnd ? shown.reverse() : shown, hasMore: read.length > limit }
}

function isFromEnd(asked: PageQuery): boolean {
  return asked['page[first]'] === undefined && asked['page[last]'] !== undefined
}

function limitOf(asked: PageQuery): number {
  return asked['page[first]'] ?? asked['page[last]'] ?? DEFAULT_PAGE
}

function linksOf(
  kind: Kind,
  {
    parameters,
    asked,
    hasMore,
    ids,
  }: { parameters: URLSearchParams; asked: PageQuery; hasMore: boolean; ids: readonly { id: string }[] },
): Record<string, string> {
  const limit = String(limitOf(asked))
  const fromEnd = isFromEnd(asked)
  const link = (place: Record<string, string | undefined>) => linkOf(kind, parameters, place)
  return {
    self: linkOf(kind, parameters),
    first: link({ 'page[first]': limit }),
    last: link({ 'page[last]': limit }),
    ...(hasMore && !fromEnd && { next: link({ 'page[after]': ids.at(-1)?.id, 'page[first]': limit }) }),
    ...(hasMore && fromEnd && { prev: link({ 'page[before]': ids[0]?.id, 'page[last]': limit }) }),
  }
}

/** Returns the path of a list with the filters of a request, and with another place in the list if that is given. */
function linkOf({ path }: Kind, asked: URLSearchParams, place?: Record<string, string | undefined>): string {
  const parameters = [...asked].filter(([name]) => place === undefined || !name.startsWith('page['))
  const query = new URLSearchParams(parameters)
  for (const [name, value] of Object.entries(place ?? {})) if (value !== undefined) query.set(name, value)
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}
