import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import type { Problem } from '../account/account-page.ts'
import { alert, type Form, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { errorText, type Parsed, Redirect, redirectTo, type SignedInSince } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { type AdminVisit, adminPage, isPage } from './admin-page.ts'
import type { AdminSection } from './navigation.ts'

/** The name of an act in the texts of the pages. */
export type ActName = keyof Texts['admin']['acts']

/** The page that an act is about, and its name. */
type Subject = { path: string; label: string }

/** `user`: fills the form. */
const actQuery = z.object({
  done: z.string().optional().catch(undefined),
  user: z.string().optional().catch(undefined),
})
type ActVisit<Params extends z.ZodType | undefined> = AdminVisit<Parsed<Params>, z.output<typeof actQuery>>

type ActOptions<Params extends z.ZodType | undefined> = {
  act: ActName
  path: string
  params?: Params
  section: AdminSection
  /** Acts by which somebody could take over accounts, or that cannot be undone, need a recent sign-in. */
  needs?: SignedInSince
  look?: Form['look']
  /** To which page the act leads back. */
  subject(params: Parsed<Params>, texts: Texts): Subject
  /** The fields of the form. `filled`: what was entered before, if it was refused. */
  fields?(app: App, visit: ActVisit<Params>, filled: URLSearchParams | undefined): Promise<Html[]> | Html[]
  /** Does it. A page that it returns is shown, for instance with a new secret. */
  perform(app: App, visit: ActVisit<Params>): Promise<Page | Redirect | unknown>
}

/**
 * Declares an act of an administrator as two endpoints: a page that says what it does and asks for confirmation, and its
 * form. When it is done, the browser goes back to the page of the subject; what was refused is shown with the reason.
 */
export function actPage<Params extends z.ZodType | undefined = undefined>(
  options: ActOptions<Params>,
): [get: AnyEndpoint, post: AnyEndpoint] {
  const { act, subject, perform, fields: _fields, look: _look, ...declared } = options
  const get = adminPage<Params, typeof actQuery>({
    ...(declared as { path: string; params: Params; section: AdminSection }),
    query: actQuery,
    method: 'GET',
    handle: (visit, app) => confirmation(app, visit, options),
  })
  const post = adminPage<Params, typeof actQuery>({
    ...(declared as { path: string; params: Params; section: AdminSection }),
    query: actQuery,
    method: 'POST',
    async handle(visit, app) {
      try {
        const result = await perform(app, visit)
        if (result instanceof Redirect) return result
        return isPage(result) ? result : redirectTo(doneAt(subject(visit.params, visit.texts).path, act))
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        const problem = { alert: errorText(visit.texts, error.toJSON()), status: error.status, filled: visit.form }
        return confirmation(app, visit, options, problem)
      }
    },
  })
  return [get, post]
}

/** Returns the address of a page that says that an act is done. */
export function doneAt(path: string, act: ActName): string {
  return `${path}${path.includes('?') ? '&' : '?'}done=${act}`
}

/** Renders that an act is done, if the query of the page says so. */
export function doneNotice({ texts }: Pick<AdminVisit, 'texts'>, done: string | undefined): Html {
  const { acts } = texts.admin
  return notice(done !== undefined && Object.hasOwn(acts, done) ? acts[done as ActName].done : undefined)
}

/** Renders links to the pages of acts. */
export function actLinks(
  { texts }: Pick<AdminVisit, 'texts'>,
  acts: readonly { act: ActName; path: string; isDangerous?: boolean }[],
): Html {
  const items = acts.map(({ act, path, isDangerous = false }) => {
    const look = isDangerous ? 'outline danger' : 'outline secondary'
    return html`<li><a href="${path}" role="button" class="${look}">${texts.admin.acts[act].title}</a></li>`
  })
  return items.length === 0 ? html`` : html`<ul class="acts">${items}</ul>`
}

async function confirmation<Params extends z.ZodType | undefined>(
  app: App,
  visit: ActVisit<Params>,
  { act, path, subject, fields, look }: ActOptions<Params>,
  { alert: text, status = 200, filled }: Problem = {},
): Promise<Page> {
  const words = visit.texts.admin.acts[act]
  const above = subject(visit.params, visit.texts)
  const body = html`${text === undefined ? doneNotice(visit, visit.query.done) : alert(text)}
<p>${words.hint}</p>
${form(visit, {
  fields: (await fields?.(app, visit, filled)) ?? [],
  submit: words.submit,
  ...(look && { look }),
})}`
  return { title: words.title, body, status, ...(above.path !== path && { back: above }) }
}
