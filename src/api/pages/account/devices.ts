import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { listSignedInClients, type SignedInClient, signOutClient } from '../../../services/oauth/signed-in-clients.ts'
import { logOutEverywhere } from '../../../services/users/log-out.ts'
import { loadDevices } from '../../../storage/devices/devices.ts'
import type { DeviceRow } from '../../../storage/schema/users.ts'
import { form, notice } from '../form.ts'
import { momentText } from '../moment.ts'
import { accountPage, redirectTo } from '../page.ts'
import { type AccountVisit, accountSubpage, clientText, messageOf, seenText } from './account-page.ts'

const PATH = '/account/devices'
const ON_A_PAGE = 50

/** The devices of a user, the last used first. */
export const getDevicesPage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'signed in',
  query: z.object({ done: z.string().optional(), page: z.string().optional() }),
  async handle(visit, app) {
    const { texts, query } = visit
    const { devices: words } = texts
    const devices = await devicesByUse(app, visit)
    const clients = await listSignedInClients(app, visit.session.userId)
    const clientOf = new Map(clients.map((client) => [client.deviceId, client]))
    const deviceless = clients.filter(({ deviceId }) => deviceId === null)
    const start = Math.min(startOf(query.page), Math.max(devices.length - 1, 0))
    const shown = devices.slice(start, start + ON_A_PAGE)
    const done = messageOf(query.done, {
      'signed-out': words.signedOut,
      client: words.clientSignedOut,
      all: words.allSignedOut,
    })
    const body = html`${notice(done)}
<p>${devices.length === 0 ? words.none : words.count(devices.length)}</p>
${shown.length === 0 ? '' : html`<ul class="entries">${shown.map((device) => entryOf(visit, device, clientOf.get(device.device_id)))}</ul>`}
${pageLinks(visit, start, devices.length)}
${deviceless.length === 0 ? '' : devicelessClients(visit, deviceless)}
${devices.length + deviceless.length === 0 ? '' : signOutAll(visit)}`
    return accountSubpage(visit, { title: words.title, body })
  },
})

/** Signs out a client without a device; or every device, and every browser except this one. */
export const postDevicesPage = accountPage({
  method: 'POST',
  path: PATH,
  needs: 'signed in',
  async handle({ session: { userId }, form: filled, browser }, app) {
    if (filled.get('do') === 'client') {
      const session = filled.get('session') ?? ''
      if (/^\d{1,15}$/.test(session)) await signOutClient(app, userId, Number(session))
      return redirectTo(`${PATH}?done=client`)
    }
    await logOutEverywhere(app, { userId, keepCookie: browser.cookie })
    return redirectTo(`${PATH}?done=all`)
  },
})

async function devicesByUse(app: App, { session }: AccountVisit): Promise<DeviceRow[]> {
  const used = ({ last_seen_ts, created_ts }: DeviceRow) => last_seen_ts ?? created_ts
  return (await loadDevices(app.database, session.userId)).sort((one, other) => used(other) - used(one))
}

function entryOf(visit: AccountVisit, device: DeviceRow, client: SignedInClient | undefined): Html {
  const { device_id, display_name, created_ts, last_seen_ts: at, last_seen_ip: address } = device
  const { unnamed, since } = visit.texts.devices
  const name = display_name || unnamed
  const use = at === null ? since(momentText(visit, created_ts)) : seenText(visit, { at, address })
  return html`<li><a href="${PATH}/${encodeURIComponent(device_id)}"><strong class="text">${name}</strong>
${client === undefined ? '' : html`<small class="text">${clientText(visit, client)}</small>`}
<small>${use}</small></a></li>`
}

function devicelessClients(visit: AccountVisit, clients: readonly SignedInClient[]): Html {
  const { deviceless, devicelessHint, signOutClient: submit, since } = visit.texts.devices
  const items = clients.map((client) => {
    const label = `${submit}: ${clientText(visit, client)}`
    const fields = html`<input type="hidden" name="session" value="${client.sessionNid}">`
    return html`<li><div><strong class="text">${clientText(visit, client)}</strong>
<small>${since(momentText(visit, client.createdTs))}</small></div>
${form(visit, { what: 'client', fields, submit, label, look: 'outline secondary' })}</li>`
  })
  return html`<section aria-labelledby="deviceless"><h2 id="deviceless">${deviceless}</h2>
<p>${devicelessHint}</p>
<ul class="entries">${items}</ul></section>`
}

function signOutAll(visit: AccountVisit): Html {
  const { all, allHint, signOutAll: submit } = visit.texts.devices
  return html`<section aria-labelledby="all"><h2 id="all">${all}</h2>
<p>${allHint}</p>
${form(visit, { what: 'all', fields: [], submit, look: 'outline danger' })}</section>`
}

/** Pages are named by their first device. */
function startOf(page: string | undefined): number {
  return page !== undefined && /^\d{1,4}$/.test(page) ? Number(page) : 0
}

function pageLinks({ texts }: AccountVisit, start: number, count: number): Html {
  const { pages, newer, older } = texts.devices
  const links = [
    ...(start > 0 ? [html`<li><a href="${PATH}?page=${Math.max(start - ON_A_PAGE, 0)}">${newer}</a></li>`] : []),
    ...(start + ON_A_PAGE < count ? [html`<li><a href="${PATH}?page=${start + ON_A_PAGE}">${older}</a></li>`] : []),
  ]
  return links.length === 0 ? html`` : html`<nav aria-label="${pages}"><ul>${links}</ul></nav>`
}
