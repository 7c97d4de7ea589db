import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError, NotFoundError } from '../../../core/errors.ts'
import { Html, html } from '../../../core/text/html.ts'
import { completeStage, purposeOfSession } from '../../../services/users/uia-fallback.ts'
import type { UiaStageType } from '../../../services/users/uia-stages.ts'
import { readFormBody } from '../../http/body.ts'
import { v3 } from '../../http/client-paths.ts'
import { asPage, type FallbackPage } from '../../http/html-page.ts'
import { route } from '../../http/route.ts'
import { FALLBACK_FORMS } from './auth-fallback-forms.ts'

const path = v3('/auth/:authType/fallback/web')
const params = z.object({ authType: z.string() })
const query = z.object({ session: z.string().max(255) })

/** https://spec.matrix.org/v1.19/client-server-api/#fallback */
export const getAuthFallback = route({
  method: 'GET',
  path,
  auth: 'none',
  params,
  query,
  handle: (call, app) =>
    asPage(async () => {
      const stage = { sessionId: call.query.session, type: stageOf(call.params.authType) }
      const { isComplete } = await purposeOfSession(app, stage)
      return isComplete ? DONE : formPage(FALLBACK_FORMS[stage.type].fields(app))
    }),
})

/** Handles the submitted form. */
export const postAuthFallback = route({
  method: 'POST',
  path,
  auth: 'none',
  rateLimit: 'login',
  params,
  query,
  body: 'stream',
  async handle(call, app) {
    const filled = await readFormBody(call.request.raw, app.config.limits)
    return asPage(() => attempt(app, { sessionId: call.query.session, type: stageOf(call.params.authType) }, filled))
  },
})

/** Returns the next page: success, a further form, or the same form with an error. */
async function attempt(
  app: App,
  stage: { sessionId: string; type: UiaStageType },
  filled: URLSearchParams,
): Promise<FallbackPage> {
  const form = FALLBACK_FORMS[stage.type]
  const purpose = await purposeOfSession(app, stage)
  try {
    const read = await form.read(app, filled, purpose)
    if (read instanceof Html) return formPage(read)
    await completeStage(app, { ...stage, auth: read })
    return DONE
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    // A second form keeps the fields of the first.
    const kept = ['sid', 'client_secret'].flatMap((name) => {
      const value = filled.get(name)
      return value === null ? [] : [html`<input type="hidden" name="${name}" value="${value}">`]
    })
    const fields = kept.length > 0 ? html`${kept}<button>I have opened the link</button>` : form.fields(app)
    return { ...formPage(html`<p role="alert">${error.message}.</p>${fields}`), status: error.status }
  }
}

function stageOf(authType: string): UiaStageType {
  if (Object.hasOwn(FALLBACK_FORMS, authType)) return authType as UiaStageType
  // The name of the stage is left out: pages never repeat text from a link.
  throw new NotFoundError('This authentication stage is not supported')
}

function formPage(fields: Html): FallbackPage {
  return { title: 'Confirm your identity', body: html`<form method="post">${fields}</form>` }
}

const DONE: FallbackPage = {
  title: 'Thank you',
  body: html`<p>You can close this page and go back to your client.</p>`,
  // The script is the specification's, verbatim.
  script: `if (window.onAuthDone) {
  window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
  window.opener.postMessage("authDone", "*");
}`,
}
