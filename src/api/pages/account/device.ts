import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { nameDevice, removeDevices } from '../../../services/devices/devices.ts'
import { listSignedInClients, type SignedInClient } from '../../../services/oauth/signed-in-clients.ts'
import { logOutEverywhere } from '../../../services/users/log-out.ts'
import { findDevice } from '../../../storage/devices/devices.ts'
import type { DeviceRow } from '../../../storage/schema/users.ts'
import { deviceId } from '../../http/fields.ts'
import { alert, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { moment } from '../moment.ts'
import { accountPage, redirectTo } from '../page.ts'
import { type AccountVisit, clientText, messageOf } from './account-page.ts'

const LIST = '/account/devices'
const PATH = `${LIST}/:deviceId`
const MAX_NAME = 255
const MAX_TITLE = 60

const params = z.object({ deviceId })
const query = z.object({ done: z.string().optional() })
type DeviceVisit = AccountVisit<z.output<typeof params>, z.output<typeof query>>

export const getAccountDevicePage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'signed in',
  params,
  query,
  handle: (visit, app) => devicePage(app, visit),
})

/** Renames the device, signs it out, or signs out all others. */
export const postAccountDevicePage = accountPage({
  method: 'POST',
  path: PATH,
  needs: 'signed in',
  params,
  query,
  async handle(visit, app) {
    const { session, params: wanted, form: filled, browser } = visit
    const { userId } = session
    const own = `${LIST}/${encodeURIComponent(wanted.deviceId)}`
    switch (filled.get('do')) {
      case 'sign-out':
        await removeDevices(app, userId, [wanted.deviceId])
        return redirectTo(`${LIST}?done=signed-out`)
      case 'others':
        await logOutEverywhere(app, { userId, keep: wanted, keepCookie: browser.cookie })
        return redirectTo(`${own}?done=others`)
      default:
        await nameDevice(app, { userId, ...wanted, displayName: (filled.get('name') ?? '').slice(0, MAX_NAME) || null })
        return redirectTo(`${own}?done=name`)
    }
  },
})

async function devicePage(app: App, visit: DeviceVisit): Promise<Page> {
  const { session, texts, query: asked } = visit
  const { devices: words } = texts
  const device = await findDevice(app.database, { userId: session.userId, ...visit.params })
  if (!device) return { ...unknownDevice(visit), status: 404 }
  const clients = await listSignedInClients(app, session.userId)
  const client = clients.find(({ deviceId: of }) => of === device.device_id)
  const done = messageOf(asked.done, { name: words.renamed, others: words.othersSignedOut })
  const body = html`${notice(done)}
${factsOf(visit, device, client)}
${renameForm(visit, device)}
<section aria-labelledby="sign-out"><h2 id="sign-out">${words.signOutTitle}</h2>
<p>${words.signOutHint}</p>
${form(visit, { what: 'sign-out', fields: [], submit: words.signOut, look: 'danger' })}</section>
<section aria-labelledby="others"><h2 id="others">${words.others}</h2>
<p>${words.othersHint}</p>
${form(visit, { what: 'others', fields: [], submit: words.signOutOthers, look: 'outline danger' })}</section>`
  return deviceSubpage(visit, { title: titleOf(device) || words.unnamed, body })
}

/** Returns the start of a long name. */
function titleOf({ display_name }: DeviceRow): string {
  const name = display_name ?? ''
  return name.length > MAX_TITLE ? `${name.slice(0, MAX_TITLE)}…` : name
}

function deviceSubpage({ texts }: DeviceVisit, page: Page): Page {
  return { back: { path: LIST, label: texts.devices.title }, ...page }
}

function unknownDevice(visit: DeviceVisit): Page {
  const { title, unknown } = visit.texts.devices
  return deviceSubpage(visit, { title, body: alert(unknown) })
}

function factsOf(visit: DeviceVisit, device: DeviceRow, client: SignedInClient | undefined): Html {
  const { devices: words } = visit.texts
  const facts: [string, Html | string | null][] = [
    [words.id, html`<code>${device.device_id}</code>`],
    [words.client, client ? clientText(visit, client) : null],
    [words.firstSignIn, moment(visit, device.created_ts)],
    [words.lastUse, device.last_seen_ts === null ? words.unseen : moment(visit, device.last_seen_ts)],
    [words.address, device.last_seen_ip],
    [words.program, device.last_seen_user_agent],
  ]
  const known = facts.filter((fact): fact is [string, Html | string] => fact[1] !== null)
  return html`<dl class="facts">${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

function renameForm(visit: DeviceVisit, device: DeviceRow): Html {
  const { rename, renameHint, saveName } = visit.texts.devices
  const attributes = { name: 'name', value: device.display_name ?? '', maxlength: MAX_NAME, autocomplete: 'off' }
  return form(visit, { what: 'name', fields: field(rename, attributes, { hint: renameHint }), submit: saveName })
}
