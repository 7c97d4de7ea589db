import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { findRelyingParty, MAX_PASSKEY_NAME, newPasskeyOptions } from '../../../services/sign-in/passkeys.ts'
import { isSecondFactorRequired } from '../../../services/users/second-factor-policy.ts'
import type { PasskeyRow } from '../../../storage/schema/sign-in.ts'
import { loadPasskeys } from '../../../storage/sign-in/passkeys.ts'
import { countSecondFactors, type SecondFactorCounts } from '../../../storage/users/second-factors.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { PASSKEY_SCRIPT, passkeyForm } from '../passkey-form.ts'
import { type AccountVisit, accountSubpage, messageOf, type Problem } from './account-page.ts'

/**
 * `continue`: what the sign-in was for that led here, because the policy requires a second factor. `done`: what was just
 * changed.
 */
export const secondFactorQuery = z.object({ continue: z.string().optional(), done: z.string().optional() })

export type FactorVisit = AccountVisit<undefined, z.output<typeof secondFactorQuery>>

/** Renders the list of a user's second factors, with forms to change them. */
export async function factorsPage(app: App, visit: FactorVisit, problem: Problem = {}): Promise<Page> {
  const { session, texts, query } = visit
  const words = texts.secondFactor
  const counts = await countSecondFactors(app.database, session.userId)
  const passkeys = await loadPasskeys(app.database, session.userId)
  const mayAdd = app.config.second_factor !== 'off'
  const hasAny = counts.totp || passkeys.length > 0
  const isMissing = !hasAny && isSecondFactorRequired(app, { is_admin: session.isAdmin })
  const body = html`${alert(problem.alert ?? (isMissing ? words.required : undefined))}
${notice(problem.alert === undefined ? messageOf(query.done, words.done) : undefined)}
<p>${hasAny ? words.inForce : mayAdd ? words.none : words.off}</p>
${hasAny || mayAdd ? html`<p>${app.config.personal_tokens.enabled ? words.programsNeedTokens : words.programsEnd}</p>` : ''}
${mayAdd || counts.totp ? totpSection(visit, counts, mayAdd) : ''}
${mayAdd || passkeys.length > 0 ? await passkeySection(app, visit, { passkeys, mayAdd }) : ''}
${hasAny ? recoverySection(visit, counts) : ''}`
  return accountSubpage(visit, { title: words.title, body, script: PASSKEY_SCRIPT, status: problem.status ?? 200 })
}

function totpSection(visit: FactorVisit, { totp }: SecondFactorCounts, mayAdd: boolean): Html {
  const words = visit.texts.secondFactor
  const label = totp ? words.replaceTotp : words.addTotp
  const begin = form(visit, {
    fields: [],
    submit: label,
    what: 'begin-totp',
    ...(totp && { look: 'outline' as const }),
  })
  const removeForm = form(visit, { fields: [], submit: words.remove, what: 'remove-totp', look: 'outline danger' })
  return html`<section aria-labelledby="totp"><h2 id="totp">${words.totp}</h2>
<p>${totp ? words.totpOn : words.totpHint}</p>
${mayAdd ? begin : ''}
${totp ? html`<details><summary>${words.removeTotp}</summary>${removeForm}</details>` : ''}</section>`
}

async function passkeySection(
  app: App,
  visit: FactorVisit,
  { passkeys, mayAdd }: { passkeys: readonly PasskeyRow[]; mayAdd: boolean },
): Promise<Html> {
  const words = visit.texts.secondFactor
  const list =
    passkeys.length === 0 ? '' : html`<ul class="factors">${passkeys.map((each) => passkeyItem(visit, each))}</ul>`
  return html`<section aria-labelledby="passkeys"><h2 id="passkeys">${words.passkeys}</h2>
<p>${words.passkeyHint}</p>
${list}
${mayAdd ? await passkeyAddition(app, visit) : ''}</section>`
}

async function passkeyAddition(app: App, visit: FactorVisit): Promise<Html> {
  const words = visit.texts.secondFactor
  if (!findRelyingParty(app.config)) return html`<p>${visit.texts.errors.M_PASSKEYS_NEED_TLS!}</p>`
  const { session, browser } = visit
  const name = field(
    words.newPasskeyName,
    { name: 'name', maxlength: MAX_PASSKEY_NAME },
    { hint: words.passkeyNameHint },
  )
  const options = await newPasskeyOptions(app, { userId: session.userId, cookie: browser.cookie })
  const { failed, needsScript: otherwise } = visit.texts.secondStep
  const addition = { method: 'create' as const, options, what: 'add-passkey', failed, otherwise }
  return passkeyForm(visit, { ...addition, fields: name, submit: words.addPasskey })
}

function passkeyItem(visit: FactorVisit, { credential_id, name, created_ts, last_used_ts }: PasskeyRow): Html {
  const words = visit.texts.secondFactor
  const which = html`<input type="hidden" name="passkey" value="${credential_id}">`
  const id = credential_id.slice(0, 16)
  const input = html`<label for="name-${id}">${words.passkeyName}</label>
<input id="name-${id}" name="name" value="${name}" maxlength="${MAX_PASSKEY_NAME}" required>`
  const used = last_used_ts === null ? words.neverUsed : words.lastUsed(momentText(visit, last_used_ts))
  const rename = {
    fields: html`${which}${input}`,
    submit: words.save,
    what: 'rename-passkey',
    look: 'outline' as const,
  }
  const remove = { fields: which, submit: words.remove, what: 'remove-passkey', look: 'outline danger' as const }
  return html`<li><strong class="text" id="key-${id}">${name}</strong><br>
<small>${words.created(momentText(visit, created_ts))} ${used}</small>
<details><summary aria-describedby="key-${id}">${words.changePasskey}</summary>
${form(visit, rename)}
${form(visit, remove)}</details></li>`
}

function recoverySection(visit: FactorVisit, { recoveryCodes }: SecondFactorCounts): Html {
  const words = visit.texts.secondFactor
  const renewal = form(visit, { fields: [], submit: words.renewCodes, what: 'renew-codes', look: 'outline' })
  return html`<section aria-labelledby="codes"><h2 id="codes">${words.codesTitle}</h2>
<p>${words.codesLeft(recoveryCodes)}</p>
${renewal}</section>`
}
