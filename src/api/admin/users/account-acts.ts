import { z } from 'zod'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import { allowCrossSigningReset } from '../../../services/devices/cross-signing-reset.ts'
import { findErasure } from '../../../services/membership/erase-user.ts'
import { beginRejection } from '../../../services/membership/reject-invites.ts'
import { resetSecondFactors } from '../../../services/sign-in/second-factors.ts'
import { findLocalUser, setShadowBanned, setSuspended } from '../../../services/users/account-moderation.ts'
import { logInAs } from '../../../services/users/administration/log-in-as.ts'
import { findMessageLimit, setMessageLimit } from '../../../services/users/administration/message-limits.ts'
import { administratorOf } from '../../../services/users/administration/operator.ts'
import { setAdmin } from '../../../services/users/administration/put-user.ts'
import { deactivateUser, eraseUser } from '../../../services/users/deactivate.ts'
import { setPassword } from '../../../services/users/set-password.ts'
import { loadCrossSigningKeys } from '../../../storage/devices/cross-signing-keys.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, ofUser, v1 } from '../admin-fields.ts'

const MAX_RATE = 1_000_000
const MAX_REASON = 1000

export const postDeactivateUser = route({
  method: 'POST',
  path: v1('/deactivate/:userId'),
  auth: 'admin',
  params: ofUser,
  body: z.object({ erase: z.boolean().default(false) }),
  async handle({ params: { userId }, body: { erase } }, app) {
    await findLocalUser(app, userId)
    await app.jobs.attend(await deactivateUser(app, { userId, erase }))
    // Hearth binds nothing at identity servers, so there is nothing to unbind.
    return { id_server_unbind_result: 'success' }
  },
})

const erasePath = hearthV1('/users/:userId/erase')

const postErase = route({
  method: 'POST',
  path: erasePath,
  auth: 'admin',
  params: ofUser,
  body: z.object({ redact_events: z.boolean().default(false), reason: z.string().max(MAX_REASON).nullish() }),
  async handle({ params: { userId }, body: { redact_events, reason = null }, session }, app) {
    if (userId === session.userId) throw new ForbiddenError('Erase your own account on the account page')
    await findLocalUser(app, userId)
    const redaction = redact_events ? { by: administratorOf(session), reason } : null
    const { taskId, job } = await eraseUser(app, { userId, redaction })
    app.jobs.begin(job, { whenFree: true })
    return { task_id: taskId }
  },
})

const postRejectInvites = route({
  method: 'POST',
  path: hearthV1('/users/:userId/reject_invites'),
  auth: 'admin',
  params: ofUser,
  handle: async ({ params: { userId } }, app) => ({ task_id: await beginRejection(app, userId) }),
})

const getErase = route({
  method: 'GET',
  path: erasePath,
  auth: 'admin',
  params: ofUser,
  handle: ({ params: { userId } }, app) => findErasure(app, userId),
})

export const putSuspendUser = route({
  method: 'PUT',
  path: v1('/suspend/:userId'),
  auth: 'admin',
  params: ofUser,
  body: z.object({ suspend: z.boolean() }),
  async handle({ params: { userId }, body: { suspend } }, app) {
    await setSuspended(app, userId, suspend)
    return { [`user_${userId}_suspended`]: suspend }
  },
})

const shadowBanPath = v1('/users/:userId/shadow_ban')

export const postShadowBan = route({
  method: 'POST',
  path: shadowBanPath,
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await setShadowBanned(app, userId, true)
    return {}
  },
})

export const deleteShadowBan = route({
  method: 'DELETE',
  path: shadowBanPath,
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await setShadowBanned(app, userId, false)
    return {}
  },
})

const adminPath = v1('/users/:userId/admin')

const getIsAdmin = route({
  method: 'GET',
  path: adminPath,
  auth: 'admin',
  params: ofUser,
  handle: async ({ params }, app) => ({ admin: (await findLocalUser(app, params.userId)).is_admin }),
})

export const putIsAdmin = route({
  method: 'PUT',
  path: adminPath,
  auth: 'admin',
  params: ofUser,
  body: z.object({ admin: z.boolean() }),
  async handle({ params, body: { admin }, session }, app) {
    await setAdmin(app, { userId: params.userId, by: session.userId, admin })
    return {}
  },
})

export const postResetPassword = route({
  method: 'POST',
  path: v1('/reset_password/:userId'),
  auth: 'admin',
  params: ofUser,
  body: z.object({
    new_password: z.string(),
    logout_devices: z.boolean().default(true),
    // Not in Synapse: gives an account of the LDAP directory a password of its own.
    leave_directory: z.boolean().default(false),
  }),
  async handle({ params: { userId }, body }, app) {
    await findLocalUser(app, userId)
    const { new_password: password, logout_devices: logOutDevices, leave_directory: leaveDirectory } = body
    await setPassword(app, { userId, password, logOutDevices, leaveDirectory })
    return {}
  },
})

const deleteSecondFactors = route({
  method: 'DELETE',
  path: hearthV1('/users/:userId/second_factors'),
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await findLocalUser(app, userId)
    return { removed: await resetSecondFactors(app, userId) }
  },
})

const postLogInAs = route({
  method: 'POST',
  path: v1('/users/:userId/login'),
  auth: 'admin',
  params: ofUser,
  body: z.object({ valid_until_ms: z.int().positive().nullish() }),
  async handle({ params: { userId }, body: { valid_until_ms: validUntil = null }, session }, app) {
    return { access_token: await logInAs(app, { userId, by: session.userId, validUntil }) }
  },
})

const limitPath = v1('/users/:userId/override_ratelimit')

const getOverride = route({
  method: 'GET',
  path: limitPath,
  auth: 'admin',
  params: ofUser,
  handle: async ({ params }, app) => (await findMessageLimit(app, params.userId)) ?? {},
})

const limit = z.int().min(0).max(MAX_RATE).default(0)

export const postOverride = route({
  method: 'POST',
  path: limitPath,
  auth: 'admin',
  params: ofUser,
  body: z.object({ messages_per_second: limit, burst_count: limit }),
  async handle({ params, body }, app) {
    await setMessageLimit(app, params.userId, body)
    return body
  },
})

export const deleteOverride = route({
  method: 'DELETE',
  path: limitPath,
  auth: 'admin',
  params: ofUser,
  async handle({ params }, app) {
    await setMessageLimit(app, params.userId, null)
    return {}
  },
})

const postAllowReset = route({
  method: 'POST',
  path: v1('/users/:userId/_allow_cross_signing_replacement_without_uia'),
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await findLocalUser(app, userId)
    const keys = await loadCrossSigningKeys(app.database, [userId])
    if (!keys.some(({ usage }) => usage === 'master')) throw new NotFoundError('The user has no cross-signing keys')
    return { updatable_without_uia_before_ms: await allowCrossSigningReset(app, userId) }
  },
})

export const accountActEndpoints: readonly AnyEndpoint[] = [
  postDeactivateUser,
  postErase,
  getErase,
  postRejectInvites,
  putSuspendUser,
  postShadowBan,
  deleteShadowBan,
  getIsAdmin,
  putIsAdmin,
  postResetPassword,
  deleteSecondFactors,
  postLogInAs,
  getOverride,
  postOverride,
  deleteOverride,
  postAllowReset,
]
