import { z } from 'zod'
import { MatrixError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import {
  answerDeviceGrant,
  findPendingGrant,
  type GrantApprover,
  type PendingGrant,
} from '../../../services/oauth/device-grants.ts'
import { DEVICE_PAGE } from '../../../services/oauth/metadata.ts'
import { showUserCode } from '../../../services/oauth/user-code.ts'
import { networkOf } from '../../http/network-of.ts'
import { alert, field, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import { accountPage, errorText, redirectTo, type Visit } from '../page.ts'
import { describeRights } from './rights.ts'

/** A code has 8 letters; users may type signs between them. */
const MAX_TYPED = 100

const query = z.object({ user_code: z.string().optional() })

/**
 * The page on which a user signs in a device that has no browser, or whose QR code another device has scanned.
 * https://datatracker.ietf.org/doc/html/rfc8628#section-3.3
 */
export const getDevicePage = accountPage({
  method: 'GET',
  path: DEVICE_PAGE,
  needs: 'signed in',
  query,
  async handle(visit, app) {
    const typed = visit.query.user_code
    if (typed === undefined || typed === '') return codePage(visit, {})
    return attempt(visit, typed, async () =>
      confirmPage(visit, await findPendingGrant(app, { typed, approver: approverOf(visit) })),
    )
  },
})

export const postDevicePage = accountPage({
  method: 'POST',
  path: DEVICE_PAGE,
  needs: 'signed in',
  handle(visit, app) {
    const typed = visit.form.get('user_code') ?? ''
    const decision = visit.form.get('do')
    if (decision !== 'approve' && decision !== 'refuse')
      return redirectTo(`${DEVICE_PAGE}?user_code=${encodeURIComponent(typed.slice(0, MAX_TYPED))}`)
    return attempt(visit, typed, async () => {
      const isApproved = decision === 'approve'
      await answerDeviceGrant(app, { typed, approver: approverOf(visit), isApproved })
      return donePage(visit, isApproved)
    })
  },
})

type SignedIn = Parameters<Parameters<typeof accountPage>[0]['handle']>[0]

function approverOf({ session, browser }: SignedIn): GrantApprover {
  return { ...session, network: networkOf(browser.ip) }
}

/** Shows the form again if a code is wrong. */
async function attempt(visit: Visit, typed: string, work: () => Promise<Page>): Promise<Page> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    const { device } = visit.texts
    const texts: Record<string, string> = { M_NOT_FOUND: device.unknown, M_FORBIDDEN: device.isYours }
    const text = texts[error.errcode] ?? errorText(visit.texts, error.toJSON())
    return codePage(visit, { typed: typed.slice(0, MAX_TYPED), alert: text, status: error.status })
  }
}

function codePage(
  visit: Visit,
  { typed, alert: text, status = 200 }: { typed?: string; alert?: string; status?: number },
): Page {
  const { device } = visit.texts
  const code = field(
    device.code,
    {
      name: 'user_code',
      value: typed,
      autocomplete: 'off',
      autocapitalize: 'characters',
      spellcheck: 'false',
      maxlength: MAX_TYPED,
      required: true,
      autofocus: true,
    },
    { hint: device.codeHint },
  )
  const body = html`<p>${device.hint}</p>
${alert(text)}
${form(visit, { action: DEVICE_PAGE, fields: code, submit: device.find })}`
  return { title: device.title, body, status }
}

function confirmPage(visit: SignedIn, { userCode, clientName, scope, ip }: PendingGrant): Page {
  const { device, consent } = visit.texts
  const typed = html`<input type="hidden" name="user_code" value="${userCode}">`
  const { isGrantable, text } = describeRights(visit, scope)
  const body = html`<p class="text">${device.asks(clientName ?? device.unnamed)}</p>
<p>${device.compare}<br><strong class="user-code">${showUserCode(userCode)}</strong></p>
<p>${device.from(ip)}</p>
${text}
<p>${device.warning}</p>
${isGrantable ? form(visit, { fields: typed, submit: device.approve, what: 'approve' }) : ''}
${form(visit, { fields: typed, submit: device.refuse, what: 'refuse', look: 'secondary' })}
<p><a href="${withContinue('/login?login_hint=', visit.path)}">${consent.otherAccount}</a></p>`
  return { title: device.confirmTitle, body }
}

function donePage({ texts: { device } }: Visit, isApproved: boolean): Page {
  return isApproved
    ? { title: device.approved, body: html`<p role="status">${device.approvedHint}</p>` }
    : { title: device.refused, body: html`<p role="status">${device.refusedHint}</p>` }
}
