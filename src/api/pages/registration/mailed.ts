import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { findMailedAddress, finishRegistration, mailLinkAgain } from '../../../services/sign-in/register-in-browser.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, REGISTER_PATH, withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, type Visit } from '../page.ts'
import { afterStep } from '../sign-in/after-step.ts'
import { mailedPath } from './register.ts'

const path = `${REGISTER_PATH}/email`
const query = z.object({ session: z.string().max(255), continue: z.string().optional() })

type MailedVisit = Visit<undefined, z.output<typeof query>>
/** `needsName`: the name was taken in the meantime. */
type State = { address: string; alert?: string; notice?: string; status?: number; needsName?: boolean }

/** Waits until the user has opened the link that was mailed at the registration. */
export const getMailedPage = page({
  method: 'GET',
  path,
  rateLimit: 'login',
  query,
  handle: async (visit, app) =>
    mailedPage(visit, { address: await findMailedAddress(app, visit.browser, visit.query.session) }),
})

export const postMailedPage = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  query,
  async handle(visit, app) {
    const address = await findMailedAddress(app, visit.browser, visit.query.session)
    try {
      return await (visit.form.get('do') === 'again' ? sendAgain(app, visit, address) : finish(app, visit))
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      return mailedPage(visit, { address, ...refusalOf(visit, error) })
    }
  },
})

async function sendAgain(app: App, visit: MailedVisit, address: string): Promise<Page> {
  const { browser, query, texts } = visit
  const nextPage = (sessionId: string) => mailedPath(sessionId, ownPath(query.continue))
  await mailLinkAgain(app, browser, { sessionId: query.session, nextPage })
  return mailedPage(visit, { address, notice: texts.register.sentAgain })
}

async function finish(app: App, { browser, query, form: filled }: MailedVisit): Promise<Redirect> {
  const username = filled.get('user')?.trim()
  const taken = await finishRegistration(app, browser, { sessionId: query.session, username })
  return afterStep(taken, ownPath(query.continue))
}

const ABOUT_NAMES = ['M_USER_IN_USE', 'M_INVALID_USERNAME', 'M_EXCLUSIVE']

function refusalOf({ texts }: MailedVisit, error: MatrixError): Omit<State, 'address'> {
  const isNotOpened = error.errcode === 'M_UNAUTHORIZED'
  return {
    alert: isNotOpened ? texts.register.linkNotOpened : errorText(texts, error.toJSON()),
    status: error.status === 401 ? 403 : error.status,
    needsName: ABOUT_NAMES.includes(error.errcode),
  }
}

function mailedPage(visit: MailedVisit, state: State): Page {
  const { register: text } = visit.texts
  const startAgain = withContinue(REGISTER_PATH, ownPath(visit.query.continue))
  const body = html`${alert(state.alert)}${notice(state.notice)}
<p>${text.mailSent(state.address)}</p>
${form(visit, { fields: state.needsName ? nameField(visit) : html``, submit: text.goOn, what: 'finish' })}
${form(visit, { fields: html``, submit: text.sendAgain, what: 'again', look: 'secondary' })}
<p><a href="${startAgain}">${text.startAgain}</a></p>`
  return { title: text.mailTitle, body, ...(state.status !== undefined && { status: state.status }) }
}

function nameField({ texts: { register: text }, form: filled }: MailedVisit): Html {
  return field(text.user, {
    name: 'user',
    value: filled.get('user') ?? '',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
    autofocus: true,
  })
}
