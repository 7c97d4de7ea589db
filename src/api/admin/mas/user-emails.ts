import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import { giveThreepid, removeThreepid } from '../../../services/users/third-party-ids.ts'
import { countUserEmails, findUserEmail, listUserEmails, type UserEmail } from '../../../storage/mas/user-emails.ts'
import { type AnyEndpoint, Reply } from '../../http/route.ts'
import { auditedUser, filteredUser, requireAccount } from './accounts.ts'
import { type Kind, mas, masList, masRoute, NO_ROWS, ofId, rfc3339, single, ulid } from './json-api.ts'

const KIND: Kind = { type: 'user-email', path: mas('/user-emails') }
const path = `${KIND.path}/:id`

const listEmails = masList(KIND, {
  filters: { 'filter[user]': ulid.optional(), 'filter[email]': z.string().max(255).optional() },
  async find({ 'filter[user]': user, 'filter[email]': email }, app) {
    const userId = await filteredUser(app, user)
    const address = email === undefined ? null : parseEmailAddress(email)
    if (address === undefined) return NO_ROWS
    const filter = { userId, address }
    return {
      list: (page) => listUserEmails(app.database, filter, page),
      count: () => countUserEmails(app.database, filter),
    }
  },
  describe,
})

const postEmail = masRoute({
  method: 'POST',
  path: KIND.path,
  body: z.object({ user_id: ulid, email: z.string().max(255) }),
  auditTarget: ({ body }, app) => auditedUser(app, body.user_id),
  async handle({ body: { user_id: id, email } }, app) {
    const user = await requireAccount(app, id)
    const { address, added_ts } = await giveThreepid(app, user.user_id, { medium: 'email', address: email })
    const row = { address, added_ts, user_id: user.user_id, user_created_ts: user.created_ts }
    return new Reply(201, single(KIND, describe(row)))
  },
})

const getEmail = masRoute({
  method: 'GET',
  path,
  params: ofId,
  handle: async ({ params }, app) => single(KIND, describe(await requireEmail(app, params.id))),
})

const deleteEmail = masRoute({
  method: 'DELETE',
  path,
  params: ofId,
  auditTarget: async ({ params }, app) => (await findUserEmail(app.database, params.id))?.user_id,
  async handle({ params }, app) {
    const { user_id: userId, address } = await requireEmail(app, params.id)
    await removeThreepid(app, userId, { medium: 'email', address })
    return new Reply(204, '')
  },
})

export const masUserEmailEndpoints: readonly AnyEndpoint[] = [listEmails, postEmail, getEmail, deleteEmail]

async function requireEmail({ database }: Pick<App, 'database'>, id: Ulid): Promise<UserEmail> {
  const email = await findUserEmail(database, id)
  if (!email) throw new NotFoundError(`User email ID ${id} not found`)
  return email
}

function describe({ address, user_id, user_created_ts, added_ts }: UserEmail) {
  return {
    id: ulidOf(added_ts, address),
    attributes: { created_at: rfc3339(added_ts), user_id: ulidOf(user_created_ts, user_id), email: address },
  }
}
