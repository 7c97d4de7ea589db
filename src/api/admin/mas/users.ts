import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import { localpartOf, type UserId } from '../../../core/ids.ts'
import { setLocked } from '../../../services/users/account-moderation.ts'
import { reactivateUser, setAdmin } from '../../../services/users/administration/put-user.ts'
import { createUser } from '../../../services/users/create-user.ts'
import { deactivateUser } from '../../../services/users/deactivate.ts'
import { changeProfile } from '../../../services/users/profile.ts'
import { requireUnreserved } from '../../../services/users/reserved-names.ts'
import { setPassword } from '../../../services/users/set-password.ts'
import { localUserId, userIdForNewName } from '../../../services/users/user-names.ts'
import { countAccounts, listAccounts } from '../../../storage/mas/users.ts'
import type { UserRow } from '../../../storage/schema/users.ts'
import { findUser } from '../../../storage/users/users.ts'
import { queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, Reply, type Session } from '../../http/route.ts'
import { auditedUser, requireAccount, ulidOfUser } from './accounts.ts'
import { type Kind, mas, masList, masRoute, maybeRfc3339, ofId, repeated, rfc3339, single, ulid } from './json-api.ts'
import { idsOfClients } from './session-kinds.ts'

const KIND: Kind = { type: 'user', path: mas('/users') }

const listUsers = masList(KIND, {
  filters: {
    'filter[admin]': queryBoolean.optional(),
    'filter[legacy-guest]': queryBoolean.optional(),
    'filter[search]': z.string().max(255).optional(),
    'filter[status]': z.enum(['active', 'locked', 'deactivated']).optional(),
    'filter[active-oauth2-client]': repeated(ulid).optional(),
    'filter[has-active-oauth2-session]': queryBoolean.optional(),
    'filter[has-active-compat-session]': queryBoolean.optional(),
  },
  async find(query, { database }) {
    const clients = query['filter[active-oauth2-client]']
    const filter = {
      admin: query['filter[admin]'] ?? null,
      guest: query['filter[legacy-guest]'] ?? null,
      search: query['filter[search]']?.toLowerCase() ?? null,
      status: query['filter[status]'] ?? null,
      clientIds: clients ? await idsOfClients({ database }, clients) : null,
      hasOAuthSession: query['filter[has-active-oauth2-session]'] ?? null,
      hasCompatSession: query['filter[has-active-compat-session]'] ?? null,
    }
    return { list: (page) => listAccounts(database, filter, page), count: () => countAccounts(database, filter) }
  },
  describe,
})

const postUser = masRoute({
  method: 'POST',
  path: KIND.path,
  body: z.object({
    username: z.string(),
    skip_homeserver_check: z.boolean().default(false),
    displayname: z.string().nullish(),
    avatar_url: z.string().nullish(),
  }),
  async handle({ body }, app) {
    const localpart = body.username
    const userId = userIdForNewName(app, localpart)
    if (!body.skip_homeserver_check) requireUnreserved(app, userId)
    const { displayname, avatar_url: avatarUrl } = body
    await createUser(app, { localpart }, async (tx) => {
      for (const [field, value] of Object.entries({ displayname, avatar_url: avatarUrl }))
        if (value != null) await changeProfile(app, tx, { userId, field, value })
    })
    return new Reply(201, await answer(app, userId))
  },
})

const getUser = masRoute({
  method: 'GET',
  path: `${KIND.path}/:id`,
  params: ofId,
  handle: async ({ params }, app) => single(KIND, describe(await requireAccount(app, params.id))),
})

const getUserByName = masRoute({
  method: 'GET',
  path: `${KIND.path}/by-username/:username`,
  params: z.object({ username: z.string().max(255) }),
  async handle({ params: { username } }, app) {
    const userId = username.startsWith('@') ? undefined : localUserId(app, username)
    const user = userId && (await findUser(app.database, userId))
    if (!user) throw new NotFoundError(`User with username "${username}" not found`)
    return single(KIND, describe(user), `by-username/${encodeURIComponent(username)}`)
  },
})

/** Declares an act on a user, who is the answer unless the act returns another one. */
function act<Body extends z.ZodType>(
  name: string,
  body: Body,
  perform: (app: App, userId: UserId, call: { body: z.output<Body>; session: Session }) => Promise<unknown>,
): AnyEndpoint {
  return masRoute({
    method: 'POST',
    path: `${KIND.path}/:id/${name}`,
    params: ofId,
    body,
    auditTarget: ({ params }, app) => auditedUser(app, params.id),
    async handle({ params, body: asked, session }, app) {
      const { user_id: userId } = await requireAccount(app, params.id)
      const reply = await perform(app, userId, { body: asked as z.output<Body>, session })
      return reply instanceof Reply ? reply : answer(app, userId, name)
    },
  })
}

const newPassword = z.object({ password: z.string(), skip_password_check: z.boolean().nullish() })
const nothing = z.object({})

const actEndpoints: readonly AnyEndpoint[] = [
  act('set-password', newPassword, async (app, userId, { body: { password, skip_password_check: isUnchecked } }) => {
    if (app.config.sign_in.passwords === 'disabled') throw new ForbiddenError('Password auth is disabled')
    await setPassword(app, { userId, password, logOutDevices: false, minimum: isUnchecked ? 1 : undefined })
    return new Reply(204, '')
  }),
  act('set-admin', z.object({ admin: z.boolean() }), (app, userId, { body: { admin }, session }) =>
    setAdmin(app, { userId, by: session.userId, admin }),
  ),
  act('deactivate', z.object({ skip_erase: z.boolean().default(false) }), async (app, userId, { body }) =>
    app.jobs.attend(await deactivateUser(app, { userId, erase: !body.skip_erase })),
  ),
  act('reactivate', nothing, (app, userId) => reactivateUser(app, userId)),
  act('lock', nothing, (app, userId) => setLocked(app, userId, true)),
  act('unlock', nothing, (app, userId) => setLocked(app, userId, false)),
]

export const masUserEndpoints: readonly AnyEndpoint[] = [listUsers, postUser, getUserByName, getUser, ...actEndpoints]

async function answer(app: Pick<App, 'database'>, userId: UserId, self?: string): Promise<object> {
  return single(KIND, describe((await findUser(app.database, userId))!), self)
}

function describe(user: UserRow) {
  return {
    id: ulidOfUser(user),
    attributes: {
      username: localpartOf(user.user_id),
      created_at: rfc3339(user.created_ts),
      locked_at: user.locked ? rfc3339(user.locked_ts ?? user.created_ts) : null,
      deactivated_at: maybeRfc3339(user.deactivated_ts),
      admin: user.is_admin,
      legacy_guest: user.is_guest,
    },
  }
}
