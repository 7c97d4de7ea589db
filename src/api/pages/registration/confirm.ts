import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import {
  findPendingProofs,
  finishRegistration,
  type PendingProofs,
  sendProofsAgain,
} from '../../../services/sign-in/register-in-browser.ts'
import { networkOf } from '../../http/network-of.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, REGISTER_PATH, withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, type Visit } from '../page.ts'
import { afterStep } from '../sign-in/after-step.ts'
import { mailedPath } from './register.ts'

const path = `${REGISTER_PATH}/confirm`
const query = z.object({ session: z.string().max(255), continue: z.string().optional() })

type MailedVisit = Visit<undefined, z.output<typeof query>>
/** `needsName`: the name was taken in the meantime. */
type State = { pending: PendingProofs; alert?: string; notice?: string; status?: number; needsName?: boolean }

/** Waits until the user has opened the link that was mailed at the registration, and asks for the code that was sent. */
export const getMailedPage = page({
  method: 'GET',
  path,
  rateLimit: 'login',
  query,
  handle: async (visit, app) =>
    mailedPage(visit, { pending: await findPendingProofs(app, visit.browser, visit.query.session) }),
})

export const postMailedPage = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  query,
  async handle(visit, app) {
    const pending = await findPendingProofs(app, visit.browser, visit.query.session)
    try {
      return await (visit.form.get('do') === 'again' ? sendAgain(app, visit, pending) : finish(app, visit))
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      // A right code was used up although the link was not opened.
      const left = await findPendingProofs(app, visit.browser, visit.query.session)
      return mailedPage(visit, { pending: left, ...refusalOf(visit, error) })
    }
  },
})

async function sendAgain(app: App, visit: MailedVisit, pending: PendingProofs): Promise<Page> {
  const { browser, query, texts } = visit
  const nextPage = (sessionId: string) => mailedPath(sessionId, ownPath(query.continue))
  await sendProofsAgain(app, browser, { sessionId: query.session, nextPage, network: networkOf(browser.ip) })
  return mailedPage(visit, { pending, notice: texts.register.sentAgain })
}

async function finish(app: App, { browser, query, form: filled }: MailedVisit): Promise<Redirect> {
  const username = filled.get('user')?.trim()
  const taken = await finishRegistration(app, browser, {
    sessionId: query.session,
    username,
    code: filled.get('code') ?? '',
  })
  return afterStep(taken, ownPath(query.continue))
}

const ABOUT_NAMES = ['M_USER_IN_USE', 'M_INVALID_USERNAME', 'M_EXCLUSIVE']

function refusalOf({ texts }: MailedVisit, error: MatrixError): Omit<State, 'pending'> {
  const isNotOpened = error.errcode === 'M_UNAUTHORIZED'
  return {
    alert: isNotOpened ? texts.register.linkNotOpened : errorText(texts, error.toJSON()),
    status: error.status === 401 ? 403 : error.status,
    needsName: ABOUT_NAMES.includes(error.errcode),
  }
}

function mailedPage(visit: MailedVisit, state: State): Page {
  const { register: text, fallback } = visit.texts
  const { email, phone } = state.pending
  const fields = [
    ...(phone === undefined ? [] : [codeField(visit, phone)]),
    ...(state.needsName ? [nameField(visit)] : []),
  ]
  const startAgain = withContinue(REGISTER_PATH, ownPath(visit.query.continue))
  const body = html`${alert(state.alert)}${notice(state.notice)}
${email === undefined ? '' : html`<p>${text.mailSent(email)}</p>`}
${form(visit, { fields, submit: email === undefined ? fallback.goOn : text.goOn, what: 'finish' })}
${form(visit, { fields: html``, submit: text.sendAgain, what: 'again', look: 'secondary' })}
<p><a href="${startAgain}">${text.startAgain}</a></p>`
  return { title: text.mailTitle, body, ...(state.status !== undefined && { status: state.status }) }
}

function codeField({ texts }: MailedVisit, phone: string): Html {
  const code = { name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', required: true, autofocus: true }
  return field(texts.fallback.code, code, { hint: texts.register.textSent(phone) })
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
