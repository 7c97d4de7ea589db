import { z } from 'zod'
import { describeUser } from '../../../services/users/administration/describe-user.ts'
import { findMessageLimit } from '../../../services/users/administration/message-limits.ts'
import { logOutEverywhere } from '../../../services/users/log-out.ts'
import { ofUser } from '../../admin/admin-fields.ts'
import {
  deleteOverride,
  deleteShadowBan,
  postDeactivateUser,
  postOverride,
  postResetPassword,
  postShadowBan,
  putIsAdmin,
  putSuspendUser,
} from '../../admin/users/account-acts.ts'
import { postRedactUser } from '../../admin/users/redact-user.ts'
import { putOneUser } from '../../admin/users/user.ts'
import { deleteUserDevice, ofDevice } from '../../admin/users/user-devices.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { checkbox, field, select, textarea } from '../form.ts'
import { actPage } from './act-page.ts'
import { USERS_PATH, userPath } from './paths.ts'
import { performAct, performOwnAct } from './perform-act.ts'
import { displayNameOf } from './user.ts'

type OfUser = z.output<typeof ofUser>

/** Types of users that Synapse's tools know; anything else is an ordinary user. */
const userType = z.enum(['bot', 'support']).nullable().catch(null)

const at = (below: string) => `${USERS_PATH}/:userId/${below}`
const subject = ({ userId }: OfUser) => ({ path: userPath(userId), label: userId })
const ofOne = { params: ofUser, section: 'users' as const, subject }

const lock = actPage({
  ...{ act: 'lock', path: at('lock'), look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, putOneUser, { params: visit.params, body: { locked: true } }),
})

const unlock = actPage({
  ...{ act: 'unlock', path: at('unlock'), ...ofOne },
  perform: (app, visit) => performAct(app, visit, putOneUser, { params: visit.params, body: { locked: false } }),
})

const suspend = actPage({
  ...{ act: 'suspend', path: at('suspend'), look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, putSuspendUser, { params: visit.params, body: { suspend: true } }),
})

const unsuspend = actPage({
  ...{ act: 'unsuspend', path: at('unsuspend'), ...ofOne },
  perform: (app, visit) => performAct(app, visit, putSuspendUser, { params: visit.params, body: { suspend: false } }),
})

const shadowBan = actPage({
  ...{ act: 'shadowBan', path: at('shadow-ban'), look: 'danger', ...ofOne },
  perform: (app, visit) => performAct(app, visit, postShadowBan, { params: visit.params }),
})

const endShadowBan = actPage({
  ...{ act: 'endShadowBan', path: at('end-shadow-ban'), ...ofOne },
  perform: (app, visit) => performAct(app, visit, deleteShadowBan, { params: visit.params }),
})

const makeAdmin = actPage({
  ...{ act: 'makeAdmin', path: at('make-admin'), needs: 'recent sign-in', ...ofOne },
  perform: (app, visit) => performAct(app, visit, putIsAdmin, { params: visit.params, body: { admin: true } }),
})

const endAdmin = actPage({
  ...{ act: 'endAdmin', path: at('end-admin'), look: 'danger', needs: 'recent sign-in', ...ofOne },
  perform: (app, visit) => performAct(app, visit, putIsAdmin, { params: visit.params, body: { admin: false } }),
})

const deactivate = actPage({
  ...{ act: 'deactivate', path: at('deactivate'), look: 'danger', needs: 'recent sign-in', ...ofOne },
  fields(_app, { texts }, filled) {
    const { erase, eraseHint } = texts.admin.user
    return [checkbox(erase, { name: 'erase', checked: filled?.has('erase') ?? false }, { hint: eraseHint })]
  },
  perform: (app, visit) =>
    performAct(app, visit, postDeactivateUser, { params: visit.params, body: { erase: visit.form.has('erase') } }),
})

const newPassword = (label: string, hint: string) =>
  field(label, { name: 'password', type: 'password', autocomplete: 'new-password', required: true }, { hint })

const reactivate = actPage({
  ...{ act: 'reactivate', path: at('reactivate'), needs: 'recent sign-in', ...ofOne },
  fields: ({ config }, { texts }) => [
    newPassword(texts.admin.user.password, texts.password.newHint(config.passwords.minimum_length)),
  ],
  perform: (app, visit) =>
    performAct(app, visit, putOneUser, {
      params: visit.params,
      body: { deactivated: false, password: visit.form.get('password') },
    }),
})

const resetPassword = actPage({
  ...{ act: 'resetPassword', path: at('password'), needs: 'recent sign-in', ...ofOne },
  fields: ({ config }, { texts }) => [
    newPassword(texts.admin.user.password, texts.password.newHint(config.passwords.minimum_length)),
    checkbox(texts.admin.user.signOut, { name: 'sign-out', checked: true }),
  ],
  perform: (app, visit) =>
    performAct(app, visit, postResetPassword, {
      params: visit.params,
      body: { new_password: visit.form.get('password') ?? '', logout_devices: visit.form.has('sign-out') },
    }),
})

const signOutUser = actPage({
  ...{ act: 'signOutUser', path: at('sign-out'), look: 'danger', ...ofOne },
  perform(app, visit) {
    const { userId } = visit.params
    const keepCookie = userId === visit.session.userId ? visit.browser.cookie : undefined
    return performOwnAct(app, visit, { action: at('sign-out'), target: userId }, (within) =>
      logOutEverywhere(within, { userId, keepCookie }),
    )
  },
})

const signOutDevice = actPage({
  ...{ act: 'signOutDevice', path: at('devices/:deviceId/sign-out'), look: 'danger', section: 'users' },
  params: ofDevice,
  subject,
  perform: (app, visit) => performAct(app, visit, deleteUserDevice, { params: visit.params }),
})

const limitRate = actPage({
  ...{ act: 'limitRate', path: at('rate-limit'), ...ofOne },
  async fields(app, { texts, params }, filled) {
    const { perSecond, perSecondHint, burst } = texts.admin.user
    const limit = await findMessageLimit(app, params.userId)
    const number = (name: string, known: number | undefined) => ({
      ...{ name, type: 'number', min: 0, step: 1, required: true, value: filled?.get(name) ?? known ?? 0 },
    })
    return [
      field(perSecond, number('per-second', limit?.messages_per_second), { hint: perSecondHint }),
      field(burst, number('burst', limit?.burst_count)),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, postOverride, {
      params: visit.params,
      body: {
        messages_per_second: Number(visit.form.get('per-second')),
        burst_count: Number(visit.form.get('burst')),
      },
    }),
})

const unlimitRate = actPage({
  ...{ act: 'unlimitRate', path: at('no-rate-limit'), ...ofOne },
  perform: (app, visit) => performAct(app, visit, deleteOverride, { params: visit.params }),
})

const redact = actPage({
  ...{ act: 'redact', path: at('redact'), look: 'danger', needs: 'recent sign-in', ...ofOne },
  fields(_app, { texts }, filled) {
    const { reason, most, mostHint, asAdmin } = texts.admin.user
    return [
      field(reason, { name: 'reason', maxlength: 1000, value: filled?.get('reason') ?? '' }),
      field(
        most,
        { name: 'limit', type: 'number', min: 1, required: true, value: filled?.get('limit') ?? 1000 },
        { hint: mostHint },
      ),
      checkbox(asAdmin, { name: 'as-admin', checked: filled?.has('as-admin') ?? false }),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, postRedactUser, {
      params: visit.params,
      body: {
        ...{ rooms: [], reason: visit.form.get('reason') || null, limit: Number(visit.form.get('limit')) },
        use_admin: visit.form.has('as-admin'),
      },
    }),
})

const edit = actPage({
  ...{ act: 'editUser', path: at('edit'), needs: 'recent sign-in', ...ofOne },
  async fields(app, { texts, params }, filled) {
    const { name, type, types, mails, mailsHint } = texts.admin.user
    const user = await describeUser(app, params.userId)
    const known = user.threepids.flatMap(({ medium, address }) => (medium === 'email' ? [address] : []))
    const kinds = Object.entries(types).map(([value, text]) => ({ value, text }))
    const kind = user.user_type ?? ''
    const options = Object.hasOwn(types, kind) ? kinds : [...kinds, { value: kind, text: kind }]
    return [
      field(name, { name: 'name', maxlength: 256, value: filled?.get('name') ?? displayNameOf(user) }),
      textarea(mails, { name: 'mails', rows: 3 }, { value: filled?.get('mails') ?? known.join('\n'), hint: mailsHint }),
      select(type, { name: 'type', options, value: filled?.get('type') ?? kind }),
    ]
  },
  async perform(app, visit) {
    const { params, form } = visit
    const user = await describeUser(app, params.userId)
    const { threepids } = user
    const displayname = form.get('name') ?? ''
    const type = form.get('type') ?? ''
    const mails = (form.get('mails') ?? '').split(/\s+/).filter((address) => address !== '')
    const kept = threepids.filter(({ medium, address }) => medium !== 'email' || mails.includes(address))
    const added = mails.filter((mail) => !kept.some(({ address }) => address === mail))
    const hasNewMails = added.length > 0 || kept.length < threepids.length
    return performAct(app, visit, putOneUser, {
      params,
      body: {
        ...(displayname !== displayNameOf(user) && { displayname }),
        ...(hasNewMails && {
          threepids: [
            ...kept.map(({ medium, address }) => ({ medium, address })),
            ...added.map((address) => ({ medium: 'email', address })),
          ],
        }),
        // Types of other tools stay as they are.
        ...(type !== (user.user_type ?? '') && { user_type: userType.parse(type) }),
      },
    })
  },
})

/** The acts on a user. */
export const userActs: AnyEndpoint[] = [
  lock,
  unlock,
  suspend,
  unsuspend,
  shadowBan,
  endShadowBan,
  makeAdmin,
  endAdmin,
  deactivate,
  reactivate,
  resetPassword,
  signOutUser,
  signOutDevice,
  limitRate,
  unlimitRate,
  redact,
  edit,
].flat()
