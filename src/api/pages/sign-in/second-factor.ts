import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { passkeyUseOptions } from '../../../services/sign-in/passkeys.ts'
import { type GivenFactor, passSecondStep } from '../../../services/sign-in/second-step.ts'
import { countSecondFactors } from '../../../storage/users/second-factors.ts'
import { alert, field, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, redirectTo, type Visit } from '../page.ts'
import { PASSKEY_SCRIPT, passkeyForm } from '../passkey-form.ts'
import { afterStep } from './after-step.ts'

const PATH = '/login/second-factor'
const query = z.object({ continue: z.string().optional() })

type StepVisit = Visit<undefined, z.output<typeof query>>

/** Asks for the second factor, between the two steps of a sign-in. */
export const getSecondStepPage = page({
  method: 'GET',
  path: PATH,
  query,
  async handle(visit, app) {
    const userId = visit.pendingUserId
    return userId === undefined ? withoutFirstStep(visit) : secondStepPage(app, visit, { userId })
  },
})

export const postSecondStepPage = page({
  method: 'POST',
  path: PATH,
  rateLimit: 'login',
  query,
  async handle(visit, app) {
    const userId = visit.pendingUserId
    if (userId === undefined) return withoutFirstStep(visit)
    try {
      const taken = await passSecondStep(app, visit.browser, { userId, given: givenIn(visit.form) })
      return afterStep(taken, ownPath(visit.query.continue))
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      return secondStepPage(app, visit, { userId, alert: errorText(visit.texts, error.toJSON()), status: error.status })
    }
  },
})

function givenIn(form: URLSearchParams): GivenFactor {
  const kind = form.get('do')
  if (kind === 'passkey') return { kind, text: form.get('credential') ?? '' }
  return { kind: kind === 'recovery' ? 'recovery' : 'totp', text: form.get('code') ?? '' }
}

/** The first step is missing, or it was too long ago. */
function withoutFirstStep({ session, query }: StepVisit): Redirect {
  const on = ownPath(query.continue)
  return redirectTo(session ? (on ?? '/account') : withContinue('/login', on))
}

async function secondStepPage(
  app: App,
  visit: StepVisit,
  { userId, ...attempt }: { userId: UserId; alert?: string; status?: number },
): Promise<Page | Redirect> {
  const { texts, browser, query } = visit
  const words = texts.secondStep
  const counts = await countSecondFactors(app.database, userId)
  // An administrator has reset them in the meantime.
  if (!counts.totp && counts.passkeys === 0) return redirectTo(withContinue('/login', ownPath(query.continue)))
  const options = await passkeyUseOptions(app, { cookie: browser.cookie, userId })
  const passkey = { method: 'get' as const, submit: words.usePasskey, what: 'passkey', failed: words.failed }
  const ways: Html[] = [
    ...(options
      ? [passkeyForm(visit, { ...passkey, options, ...(!counts.totp && { otherwise: words.needsScript }) })]
      : []),
    ...(counts.totp ? [codeForm(visit)] : []),
    ...(counts.recoveryCodes > 0 ? [recoveryForm(visit, !counts.totp)] : []),
  ]
  const body = html`<p>${words.hint(userId)}</p>
${alert(attempt.alert)}
${ways}
<p><a href="${withContinue('/login', ownPath(query.continue))}">${words.startAgain}</a></p>`
  return {
    title: words.title,
    body,
    ...(options && { script: PASSKEY_SCRIPT }),
    ...(attempt.status !== undefined && { status: attempt.status }),
  }
}

function codeForm(visit: StepVisit): Html {
  const words = visit.texts.secondStep
  const input = field(
    words.code,
    {
      name: 'code',
      inputmode: 'numeric',
      autocomplete: 'one-time-code',
      maxlength: 12,
      required: true,
      autofocus: true,
    },
    { hint: words.codeHint },
  )
  return form(visit, { fields: input, submit: words.submit, what: 'totp' })
}

function recoveryForm(visit: StepVisit, isOpen: boolean): Html {
  const words = visit.texts.secondStep
  const input = html`<label for="field-recovery">${words.recoveryCode}</label>
<input id="field-recovery" name="code" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="40"
required aria-describedby="field-recovery-help"><small id="field-recovery-help">${words.recoveryHint}</small>`
  return html`<details${isOpen ? html` open` : ''}><summary>${words.useRecoveryCode}</summary>
${form(visit, { fields: input, submit: words.submit, what: 'recovery', look: 'secondary' })}</details>`
}
