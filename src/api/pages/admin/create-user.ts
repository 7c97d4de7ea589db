import { putUser } from '../../../services/users/administration/put-user.ts'
import { userIdForNewName } from '../../../services/users/user-names.ts'
import { checkbox, field } from '../form.ts'
import { redirectTo } from '../page.ts'
import { actPage, doneAt } from './act-page.ts'
import { CREATE_USER_PATH, USERS_PATH, userPath } from './paths.ts'
import { performOwnAct } from './perform-act.ts'

/** Creates an account. Unlike the endpoint that also changes users, it refuses names that are taken. */
export const [getCreateUserPage, postCreateUserPage] = actPage({
  act: 'createUser',
  path: CREATE_USER_PATH,
  section: 'users',
  needs: 'recent sign-in',
  subject: (_params, { admin }) => ({ path: USERS_PATH, label: admin.sections.users }),
  fields({ config, serverName }, { texts }, filled) {
    const { newUser: words, user } = texts.admin
    const common = { autocomplete: 'off', spellcheck: 'false' }
    const name = { ...common, name: 'localpart', autocapitalize: 'none', required: true, maxlength: 255 }
    const passwordHint = words.passwordHint(config.passwords.minimum_length)
    return [
      field(
        words.localpart,
        { ...name, value: filled?.get('localpart') ?? '' },
        { hint: words.localpartHint(serverName) },
      ),
      field(user.name, { ...common, name: 'name', maxlength: 256, value: filled?.get('name') ?? '' }),
      field(
        words.password,
        { name: 'password', type: 'password', autocomplete: 'new-password' },
        { hint: passwordHint },
      ),
      field(words.mail, { ...common, name: 'mail', type: 'email', value: filled?.get('mail') ?? '' }),
      checkbox(words.admin, { name: 'admin', checked: filled?.has('admin') ?? false }),
    ]
  },
  async perform(app, visit) {
    const { form, session } = visit
    const userId = userIdForNewName(app, (form.get('localpart') ?? '').trim())
    const displayname = form.get('name')?.trim() || undefined
    const address = form.get('mail')?.trim() || undefined
    const admin = form.has('admin')
    const change = {
      ...{ displayname, admin, password: form.get('password') || undefined, logOutDevices: false },
      threepids: address === undefined ? undefined : [{ medium: 'email', address }],
    }
    const act = { action: CREATE_USER_PATH, target: userId, details: { displayname, admin, address } }
    await performOwnAct(app, visit, act, (within) =>
      putUser(within, { userId, by: session.userId, change, mustBeNew: true }),
    )
    return redirectTo(doneAt(userPath(userId), 'createUser'))
  },
})
