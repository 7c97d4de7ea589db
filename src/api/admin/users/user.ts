import { z } from 'zod'
import { replaceLinks } from '../../../services/sign-in/upstream-links.ts'
import { describeUser } from '../../../services/users/administration/describe-user.ts'
import { putUser } from '../../../services/users/administration/put-user.ts'
import { userIdForNewName } from '../../../services/users/user-names.ts'
import { type AnyEndpoint, Reply, route } from '../../http/route.ts'
import { hearthV1, ofUser, typeOfUser, v2 } from '../admin-fields.ts'

const MAX_LIST = 100
const MAX_NAME = 255
const path = v2('/users/:userId')
/** Null in a body of Synapse's tools stands for an empty value. */
const text = z
  .string()
  .nullish()
  .transform((value) => (value === null ? '' : value))

/** Synapse takes an empty text for an empty list, and Ketesa sends one for an empty field of an imported file. */
const listOf = <Item extends z.ZodType>(item: Item) =>
  z.preprocess((value) => (value === '' ? [] : value), z.array(item).max(MAX_LIST).nullish())

const getUser = route({
  method: 'GET',
  path,
  auth: 'admin',
  params: ofUser,
  handle: ({ params }, app) => describeUser(app, params.userId),
})

export const putOneUser = route({
  method: 'PUT',
  path,
  auth: 'admin',
  params: ofUser,
  body: z.object({
    password: z
      .string()
      .nullish()
      .transform((password) => password ?? undefined),
    logout_devices: z.boolean().default(true),
    displayname: text,
    avatar_url: text,
    threepids: listOf(z.object({ medium: z.string(), address: z.string().max(255) })),
    external_ids: listOf(z.object({ auth_provider: z.string().max(255), external_id: z.string() })),
    admin: z.boolean().optional(),
    deactivated: z.boolean().optional(),
    locked: z.boolean().optional(),
    user_type: typeOfUser.nullish(),
  }),
  async handle({ params: { userId }, body, session }, app) {
    const { password, logout_devices: logOutDevices, displayname, avatar_url: avatarUrl } = body
    const { admin, deactivated, locked, user_type: userType } = body
    const links = body.external_ids?.map(({ auth_provider, external_id: subject }) => ({
      ...{ providerId: auth_provider, subject },
    }))
    const isNew = await putUser(app, {
      userId,
      by: session.userId,
      change: {
        ...{ password, logOutDevices, displayname, avatarUrl, admin, deactivated, locked, userType },
        threepids: body.threepids ?? undefined,
        also: links && ((tx) => replaceLinks(app, tx, { userId, links })),
      },
    })
    return new Reply(isNew ? 201 : 200, await describeUser(app, userId))
  },
})

/** Creates an account; unlike `PUT v2/users`, it refuses names that are taken. */
const postUser = route({
  method: 'POST',
  path: hearthV1('/users'),
  auth: 'admin',
  body: z.object({
    username: z.string().max(MAX_NAME),
    password: z.string().optional(),
    displayname: z.string().max(MAX_NAME).optional(),
    admin: z.boolean().default(false),
  }),
  async handle({ body: { username, ...change }, session }, app) {
    const userId = userIdForNewName(app, username)
    const wanted = { ...change, logOutDevices: false }
    await putUser(app, { userId, by: session.userId, change: wanted, mustBeNew: true })
    return new Reply(201, await describeUser(app, userId))
  },
})

export const userRecordEndpoints: readonly AnyEndpoint[] = [postUser, getUser, putOneUser]
