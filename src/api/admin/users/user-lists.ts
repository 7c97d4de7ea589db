import { z } from 'zod'
import type { App } from '../../../app.ts'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import { appserviceIdOf } from '../../../services/users/administration/describe-user.ts'
import {
  countUsers,
  EVERYBODY,
  type ListedUser,
  listUsers,
  USER_ORDERS,
  type UserFilter,
} from '../../../storage/users/user-lists.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { listPage, nextToken, ofUser, searchTerm, v1, v2 } from '../admin-fields.ts'

const term = searchTerm.transform((text) => text.toLowerCase())

const query = listPage.extend({
  user_id: term.optional(),
  name: term.optional(),
  guests: queryBoolean.default(true),
  deactivated: queryBoolean.optional(),
  locked: queryBoolean.default(false),
  suspended: queryBoolean.optional(),
  shadow_banned: queryBoolean.optional(),
  admins: queryBoolean.optional(),
  not_user_type: z.union([z.string().transform((type) => [type]), z.array(z.string())]).default([]),
  order_by: z.enum(USER_ORDERS).default('name'),
  dir: direction.default('forwards'),
})

type Query = z.output<typeof query>

const getUsers = route({
  method: 'GET',
  path: v2('/users'),
  auth: 'admin',
  query,
  // With deactivated=true, deactivated users are added.
  handle: ({ query: wanted }, app) => list(app, wanted, wanted.deactivated === true ? null : false),
})

const getUsersExactly = route({
  method: 'GET',
  path: '/_synapse/admin/v3/users',
  auth: 'admin',
  query,
  handle: ({ query: wanted }, app) => list(app, wanted, wanted.deactivated ?? null),
})

/** The old search of Synapse, without password hashes. */
const getSearchUsers = route({
  method: 'GET',
  path: v1('/search_users/:userId'),
  auth: 'admin',
  params: ofUser,
  query: z.object({ term }),
  async handle({ params, query: { term: idPart } }, app) {
    await findLocalUser(app, params.userId)
    const page = { order: 'name', isDescending: false, from: 0, limit: 100 }
    const users = await listUsers(app.database, { ...EVERYBODY, idPart }, page)
    return users.map(({ user_id, is_guest, is_admin, user_type }) => ({
      ...{ name: user_id, is_guest, admin: is_admin, user_type },
    }))
  },
})

export const userListEndpoints: readonly AnyEndpoint[] = [getUsers, getUsersExactly, getSearchUsers]

async function list(app: App, { from, limit, order_by, dir, ...wanted }: Query, deactivated: boolean | null) {
  const filter: UserFilter = {
    idPart: wanted.name === undefined ? (wanted.user_id ?? null) : null,
    namePart: wanted.name ?? null,
    guests: wanted.guests ? null : false,
    deactivated,
    locked: wanted.locked ? null : false,
    suspended: wanted.suspended ?? null,
    shadowBanned: wanted.shadow_banned ?? null,
    admins: wanted.admins ?? null,
    withoutTypes: wanted.not_user_type,
  }
  const page = { order: order_by, isDescending: dir === 'backwards', from, limit }
  const [users, total] = await Promise.all([listUsers(app.database, filter, page), countUsers(app.database, filter)])
  const { next_token: next } = nextToken(from, users.length, total)
  return {
    users: users.map((user) => describe(app, user)),
    total,
    // A text here, unlike in other lists.
    ...(next !== undefined && { next_token: `${next}` }),
  }
}

function describe(app: App, { user_id, is_admin, created_ts, ...user }: ListedUser) {
  return {
    ...{ name: user_id, ...user, admin: is_admin, creation_ts: created_ts },
    appservice_id: appserviceIdOf(app, user_id),
  }
}
