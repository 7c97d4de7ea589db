import { z } from 'zod'
import type { App } from '../../../app.ts'
import { SuspendedError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { getProfile, MAX_DISPLAYNAME_CHARACTERS, setProfileField } from '../../../services/users/profile.ts'
import type { Profile } from '../../../storage/users/profiles.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { redirectTo } from '../page.ts'
import { type AccountVisit, accountForm, accountSubpage, messageOf, type Problem } from './account-page.ts'
import { avatarForm, avatarImage, hasAvatar } from './avatar.ts'

const PATH = '/account/profile'

const query = z.object({ done: z.string().optional(), problem: z.string().optional() })
type ProfileVisit = AccountVisit<undefined, z.output<typeof query>>

export const [getProfilePage, postProfilePage] = accountForm({
  path: PATH,
  query,
  needs: 'signed in',
  show: profilePage,
  async submit(app, visit) {
    const { form: filled, session } = visit
    if (session.isSuspended) throw new SuspendedError()
    const isAvatar = filled.get('do') === 'remove-avatar'
    const change = isAvatar
      ? { field: 'avatar_url', value: undefined }
      : { field: 'displayname', value: filled.get('name') ?? '' }
    const job = await setProfileField(app, { userId: session.userId, ...change })
    if (job !== undefined) await app.jobs.attend(job)
    return redirectTo(`${PATH}?done=${isAvatar ? 'avatar-removed' : 'name'}`)
  },
})

async function profilePage(app: App, visit: ProfileVisit, problem: Problem = {}): Promise<Page> {
  const { session, texts, query } = visit
  const { title, noImage, imageTooLarge, nameSaved, avatarSaved, avatarRemoved } = texts.profile
  const profile = await getProfile(app, session.userId)
  const wrong = messageOf(query.problem, { 'no-image': noImage, 'image-too-large': imageTooLarge })
  const done = messageOf(query.done, { name: nameSaved, avatar: avatarSaved, 'avatar-removed': avatarRemoved })
  const body = html`${alert(problem.alert ?? wrong)}
${notice(problem.alert === undefined ? done : undefined)}
${session.isSuspended ? alert(texts.account.suspended) : [nameForm(visit, profile, problem), avatarSection(visit, profile)]}`
  return accountSubpage(visit, { title, body, status: problem.status ?? 200 })
}

function nameForm(visit: ProfileVisit, profile: Profile, { filled }: Problem): Html {
  const { texts } = visit
  const name = field(
    texts.profile.name,
    {
      name: 'name',
      value: filled?.get('name') ?? String(profile.displayname ?? ''),
      autocomplete: 'nickname',
      maxlength: MAX_DISPLAYNAME_CHARACTERS,
    },
    { hint: texts.profile.nameHint },
  )
  return form(visit, { what: 'name', fields: name, submit: texts.profile.saveName })
}

function avatarSection(visit: ProfileVisit, profile: Profile): Html {
  const { texts } = visit
  const { avatar, noAvatar, removeAvatar } = texts.profile
  const shown = hasAvatar(profile)
    ? html`<div class="person">${avatarImage(profile, texts)}
${form(visit, { what: 'remove-avatar', fields: [], submit: removeAvatar, look: 'outline secondary' })}</div>`
    : html`<p>${noAvatar}</p>`
  return html`<section aria-labelledby="avatar"><h2 id="avatar">${avatar}</h2>
${shown}
${avatarForm(visit)}</section>`
}
