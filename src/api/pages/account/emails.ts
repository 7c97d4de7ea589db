import { z } from 'zod'
import type { App } from '../../../app.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { requestEmailProof } from '../../../services/users/email-proof.ts'
import { setSignInMails, wantsSignInMails } from '../../../services/users/mail/account-notices.ts'
import { ACCOUNT_PAGE_SECRET, removeThreepid } from '../../../services/users/third-party-ids.ts'
import { loadThreepids } from '../../../storage/users/threepids.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { redirectTo } from '../page.ts'
import { type AccountVisit, accountForm, accountSubpage, messageOf, type Problem } from './account-page.ts'

const PATH = '/account/emails'
const query = z.object({ done: z.string().optional() })
type EmailsVisit = AccountVisit<undefined, z.output<typeof query>>

/** With an address the password can be reset, so that a change needs a recent sign-in. */
export const [getEmailsPage, postEmailsPage] = accountForm({
  path: PATH,
  query,
  needs: 'recent sign-in',
  show: emailsPage,
  async submit(app, visit) {
    const { form: filled, session } = visit
    const wish = filled.get('do')
    if (wish === 'mails-on' || wish === 'mails-off') {
      await setSignInMails(app, session.userId, wish === 'mails-on')
      return redirectTo(`${PATH}?done=${wish}`)
    }
    if (wish !== 'remove') return sendLink(app, visit)
    await removeThreepid(app, session.userId, { medium: 'email', address: filled.get('address') ?? '' })
    return redirectTo(`${PATH}?done=removed`)
  },
})

async function sendLink(app: App, visit: EmailsVisit): Promise<Page> {
  const { texts, form: filled, session, language } = visit
  const address = parseEmailAddress(filled.get('email') ?? '')
  if (address === undefined) return emailsPage(app, visit, { alert: texts.emails.invalid, status: 400, filled })
  const addresses = await loadThreepids(app.database, session.userId)
  if (addresses.some((known) => known.address === address))
    return emailsPage(app, visit, { alert: texts.emails.known, status: 400, filled })
  await requestEmailProof(app, {
    purpose: 'account',
    address,
    userId: session.userId,
    clientSecret: ACCOUNT_PAGE_SECRET,
    // Each click sends a mail: the last link counts.
    sendAttempt: app.clock.now(),
    nextLink: undefined,
    language,
  })
  return emailsPage(app, visit, { sentTo: address })
}

async function emailsPage(
  app: App,
  visit: EmailsVisit,
  { sentTo, ...problem }: Problem & { sentTo?: string } = {},
): Promise<Page> {
  const { texts, session } = visit
  const { emails: words } = texts
  const addresses = (await loadThreepids(app.database, session.userId)).filter(({ medium }) => medium === 'email')
  const isNew = problem.alert === undefined && sentTo === undefined
  const done = isNew ? messageOf(visit.query.done, doneTexts(words)) : sentTo && words.sent(sentTo)
  const wantsMails = await wantsSignInMails(app, session.userId)
  const list = addresses.map(({ address, added_ts }) => entryOf(visit, address, added_ts))
  const body = html`${alert(problem.alert)}
${notice(done)}
${list.length === 0 ? html`<p>${words.none}</p>` : html`<ul class="entries">${list}</ul>`}
${app.mailer ? addForm(visit, problem) : html`<p>${words.off}</p>`}
${wantsMails === undefined ? '' : mailsForm(visit, wantsMails)}`
  return accountSubpage(visit, { title: words.title, body, status: problem.status ?? 200 })
}

function entryOf(visit: EmailsVisit, address: string, addedTs: number): Html {
  const { since, remove, removeThis } = visit.texts.emails
  const which = html`<input type="hidden" name="address" value="${address}">`
  const button = form(visit, {
    what: 'remove',
    fields: which,
    submit: remove,
    label: removeThis(address),
    look: 'outline secondary',
  })
  return html`<li><div><strong class="text">${address}</strong>
<small>${since(momentText(visit, addedTs))}</small></div>${button}</li>`
}

function doneTexts({ removed, mailsOn, mailsOff }: EmailsVisit['texts']['emails']): Record<string, string> {
  return { removed, 'mails-on': mailsOn, 'mails-off': mailsOff }
}

/** Turns the mails about sign-ins on or off. */
function mailsForm(visit: EmailsVisit, wantsMails: boolean): Html {
  const { mails, mailsOn, mailsOff, stopMails, startMails } = visit.texts.emails
  const button = wantsMails
    ? form(visit, { what: 'mails-off', fields: [], submit: stopMails, look: 'outline secondary' })
    : form(visit, { what: 'mails-on', fields: [], submit: startMails, look: 'outline' })
  return html`<section aria-labelledby="mails"><h2 id="mails">${mails}</h2>
<p>${wantsMails ? mailsOn : mailsOff}</p>${button}</section>`
}

function addForm(visit: EmailsVisit, { filled }: Problem): Html {
  const { add, address, addHint, send } = visit.texts.emails
  const attributes = {
    name: 'email',
    type: 'email',
    value: filled?.get('email') ?? '',
    autocomplete: 'email',
    required: true,
    maxlength: 500,
  }
  return html`<section aria-labelledby="add"><h2 id="add">${add}</h2>
${form(visit, { what: 'add', fields: field(address, attributes, { hint: addHint }), submit: send })}</section>`
}
