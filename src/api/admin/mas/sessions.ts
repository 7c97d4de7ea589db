import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import type { ListedSession, SessionFilter } from '../../../storage/mas/session-filter.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { filteredUser } from './accounts.ts'
import {
  dateTime,
  type Kind,
  masList,
  masRoute,
  maybeRfc3339,
  NO_ROWS,
  ofId,
  type Resource,
  type Rows,
  rfc3339,
  single,
  ulid,
} from './json-api.ts'

/** A kind of sessions. Hearth deletes sessions that have ended, so that all listed ones are active. */
type SessionKind<Row, Filters extends z.ZodRawShape> = Kind & {
  /** As errors call it. */
  name: string
  /** Filters beside those of all sessions. */
  filters: Filters
  rows(app: App, filter: SessionFilter, query: z.output<z.ZodObject<Filters>>): Promise<Rows<Row>> | Rows<Row>
  find(app: App, id: Ulid): Promise<Row | undefined>
  describe(row: Row): Resource
  end(app: App, row: Row): Promise<void>
}

const sessionFilters = {
  'filter[user]': ulid.optional(),
  /** No session knows the browser in which it began. */
  'filter[user-session]': ulid.optional(),
  'filter[status]': z.enum(['active', 'finished']).optional(),
  'filter[created-before]': dateTime.optional(),
  'filter[created-after]': dateTime.optional(),
  'filter[last-active-before]': dateTime.optional(),
  'filter[last-active-after]': dateTime.optional(),
}

type SessionQuery = z.output<z.ZodObject<typeof sessionFilters>>

/** Declares the endpoints of a kind of sessions. */
export function sessionEndpoints<Row extends { user_id: UserId }, Filters extends z.ZodRawShape>(
  kind: SessionKind<Row, Filters>,
): readonly AnyEndpoint[] {
  const { path, describe } = kind
  const list = masList(kind, {
    filters: { ...sessionFilters, ...kind.filters },
    async find(asked, app) {
      const query = asked as SessionQuery & z.output<z.ZodObject<Filters>>
      const filter = await filterOf(app, query)
      const isEmpty = query['filter[status]'] === 'finished' || query['filter[user-session]'] !== undefined
      return isEmpty ? NO_ROWS : kind.rows(app, filter, query)
    },
    describe,
  })
  const get = masRoute({
    method: 'GET',
    path: `${path}/:id`,
    params: ofId,
    handle: async ({ params }, app) => single(kind, describe(await required(app, params.id))),
  })
  const finish = masRoute({
    method: 'POST',
    path: `${path}/:id/finish`,
    params: ofId,
    auditTarget: async ({ params }, app) => (await kind.find(app, params.id))?.user_id,
    async handle({ params }, app) {
      const row = await required(app, params.id)
      await kind.end(app, row)
      const { id, attributes } = describe(row)
      return single(kind, { id, attributes: { ...attributes, finished_at: rfc3339(app.clock.now()) } }, 'finish')
    },
  })
  const required = async (app: App, id: Ulid): Promise<Row> => {
    const row = await kind.find(app, id)
    if (!row) throw new NotFoundError(`${kind.name} ID ${id} not found`)
    return row
  }
  return [list, get, finish]
}

async function filterOf(app: App, query: SessionQuery): Promise<SessionFilter> {
  return {
    userId: await filteredUser(app, query['filter[user]']),
    createdBefore: query['filter[created-before]'] ?? null,
    createdAfter: query['filter[created-after]'] ?? null,
    activeBefore: query['filter[last-active-before]'] ?? null,
    activeAfter: query['filter[last-active-after]'] ?? null,
  }
}

/** Returns the attributes that all kinds of sessions have. */
export function sessionAttributes(session: ListedSession) {
  return {
    created_at: rfc3339(session.created_ts),
    finished_at: null,
    user_id: ulidOf(session.user_created_ts, session.user_id),
    user_agent: session.user_agent,
    last_active_at: maybeRfc3339(session.last_active_ts),
    last_active_ip: session.last_active_ip,
  }
}
