import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import { completeStage, purposeOfSession } from '../../../services/users/uia-fallback.ts'
import { v3 } from '../../http/client-paths.ts'
import { alert, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { errorText, page, type Redirect, redirectTo, type Visit } from '../page.ts'
import { stageDonePage } from './done.ts'
import { FALLBACK_FORMS, type FormStage, type StageForm, secondForm } from './stage-forms.ts'

const path = v3('/auth/:authType/fallback/web')
const params = z.object({ authType: z.string() })
const query = z.object({ session: z.string().max(255) })

type Stage = { sessionId: string; type: FormStage }
type StageVisit = Visit<z.output<typeof params>, z.output<typeof query>>

/** https://spec.matrix.org/v1.19/client-server-api/#fallback */
export const getAuthFallback = page({
  method: 'GET',
  path,
  params,
  query,
  cookieless: true,
  async handle(visit, app) {
    if (visit.params.authType === 'm.login.sso') return leadToConfirmation(app, visit.query.session)
    const stage = stageOf(visit)
    const { isComplete } = await purposeOfSession(app, stage)
    return isComplete ? stageDonePage(visit) : formPage(visit, FALLBACK_FORMS[stage.type].show(app, visit))
  },
})

/** The stage m.login.sso needs the browser's cookie, so it has a page of its own. */
async function leadToConfirmation(app: App, sessionId: string): Promise<Redirect> {
  await purposeOfSession(app, { sessionId, type: 'm.login.sso' })
  return redirectTo(`/login/confirm?${new URLSearchParams({ session: sessionId })}`)
}

/** Handles the submitted form. */
export const postAuthFallback = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  params,
  query,
  cookieless: true,
  handle: (visit, app) => attempt(app, visit, stageOf(visit)),
})

/** Returns the next page: success, a further form, or the same form with an error. */
async function attempt(app: App, visit: StageVisit, stage: Stage): Promise<Page> {
  const fallback = FALLBACK_FORMS[stage.type]
  const purpose = await purposeOfSession(app, stage)
  try {
    const read = await fallback.read(app, visit, purpose)
    if ('next' in read) return formPage(visit, read.next)
    await completeStage(app, { ...stage, auth: read.auth })
    return stageDonePage(visit)
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    // A second form keeps the fields of the first.
    const [sid, clientSecret] = [visit.form.get('sid'), visit.form.get('client_secret')]
    const isSecond = sid !== null && clientSecret !== null
    const shown = isSecond ? secondForm(stage.type, visit, { sid, clientSecret }) : fallback.show(app, visit)
    return { ...formPage(visit, shown, errorText(visit.texts, error.toJSON())), status: error.status }
  }
}

function stageOf({ params: { authType }, query: { session } }: StageVisit): Stage {
  if (Object.hasOwn(FALLBACK_FORMS, authType)) return { sessionId: session, type: authType as FormStage }
  // The name of the stage is left out: pages never repeat text from a link.
  throw new NotFoundError('This authentication stage is not supported')
}

function formPage(visit: StageVisit, { foreign, ...shown }: StageForm, error?: string): Page {
  const body = html`${alert(error)}${form(visit, shown)}`
  return { title: visit.texts.fallback.title, body, ...(foreign && { foreign }) }
}
