import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { setPassword } from '../../../services/users/set-password.ts'
import type { UserRow } from '../../../storage/schema/users.ts'
import { findUser } from '../../../storage/users/users.ts'
import { alert, checkbox, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { redirectTo } from '../page.ts'
import { type AccountVisit, accountForm, accountSubpage, messageOf, type Problem } from './account-page.ts'

const PATH = '/account/password'
const query = z.object({ done: z.string().optional() })
type PasswordVisit = AccountVisit<undefined, z.output<typeof query>>

/** A user who has signed in recently need not type the old password again. */
export const [getPasswordPage, postPasswordPage] = accountForm({
  path: PATH,
  query,
  needs: 'recent sign-in',
  rateLimit: 'login',
  show: passwordPage,
  async submit(app, visit) {
    const { form: filled, session, browser, texts } = visit
    const user = await findUser(app.database, session.userId)
    if (refusalOf(app, visit, user) !== undefined) return { ...(await passwordPage(app, visit)), status: 403 }
    const password = filled.get('password') ?? ''
    const differs = password !== filled.get('again')
    if (differs) return passwordPage(app, visit, { alert: texts.password.differ, status: 400 })
    const logOutDevices = filled.has('sign-out')
    await setPassword(app, {
      userId: session.userId,
      password,
      logOutDevices,
      keepCookie: browser.cookie,
    }).catch((error) => {
      throw inWordsOf(visit, app, error)
    })
    return redirectTo(`${PATH}?done=saved`)
  },
})

/** The errors of a new password in the reader's language. */
function inWordsOf({ texts }: PasswordVisit, { config }: App, error: unknown): unknown {
  if (!(error instanceof MatrixError)) return error
  const { tooShort, unusable } = texts.password
  const words: Record<string, string> = {
    M_WEAK_PASSWORD: tooShort(config.passwords.minimum_length),
    M_INVALID_PARAM: unusable,
  }
  return new MatrixError(error.status, error.errcode, words[error.errcode] ?? error.message)
}

/** Why users of this server or this user cannot set a password here; undefined if they can. */
function refusalOf(
  { config, directory }: App,
  { texts }: PasswordVisit,
  user: UserRow | undefined,
): string | undefined {
  if (config.sign_in.passwords === 'disabled') return texts.password.off
  return directory && user?.in_directory ? texts.password.inDirectory : undefined
}

async function passwordPage(app: App, visit: PasswordVisit, problem: Problem = {}): Promise<Page> {
  const { texts, session } = visit
  const { password: words } = texts
  const user = await findUser(app.database, session.userId)
  const refusal = refusalOf(app, visit, user)
  if (refusal !== undefined) return accountSubpage(visit, { title: words.title, body: html`<p>${refusal}</p>` })
  const isNew = !user?.password_hash
  const done = problem.alert === undefined ? messageOf(visit.query.done, { saved: words.saved }) : undefined
  const body = html`${alert(problem.alert)}
${notice(done)}
${isNew ? html`<p>${words.none}</p>` : ''}
${form(visit, { fields: passwordFields(app, visit), submit: words.save })}`
  return accountSubpage(visit, { title: isNew ? words.setTitle : words.title, body, status: problem.status ?? 200 })
}

function passwordFields({ config }: App, { texts, session }: PasswordVisit): Html[] {
  const { password: words } = texts
  const minimum = config.passwords.minimum_length
  const common = { type: 'password', autocomplete: 'new-password', required: true, minlength: minimum }
  return [
    // For password managers.
    html`<input type="hidden" name="username" autocomplete="username" value="${session.userId}">`,
    field(words.new, { name: 'password', ...common }, { hint: words.newHint(minimum) }),
    field(words.repeat, { name: 'again', ...common }),
    checkbox(words.signOut, { name: 'sign-out' }, { hint: words.signOutHint }),
  ]
}
