import { allow, signInOnPage } from '../harness/sign-in-pages.ts'
import { PASSWORD, startAdminTool } from './admin-tool.ts'
import { tryBulkActs } from './ketesa-bulk-acts.ts'
import { openKetesa, UNFILTERED } from './ketesa-pages.ts'

/**
 * Tries the lists, filters and actions of Ketesa in Debian's Chromium. Build its repository with `yarn install` and
 * `yarn build`, then run `node spec-tests/clients/drive-ketesa.ts FOLDER/dist`. Ketesa signs in by OAuth and uses the
 * admin API of MAS; with `password` as a second argument OAuth is off, and it uses Synapse's alone. SCREENSHOTS=folder
 * keeps a picture of each failure.
 */
const isByPassword = process.argv[3] === 'password'
const tool = await startAdminTool({ config: isByPassword ? { oauth: { enabled: false } } : {} })
const { tab, step, server } = tool
const [alice, bob, carol] = tool.users.map(({ userId }) => userId) as [string, string, string]
const [garden, library] = tool.rooms as [string, string]
const ketesa = openKetesa(tool)
const { press, inDialog, accept, field, go, does, openTab, userPage, roomPage, addFilter, tryList } = ketesa

await step('Sign in', async () => {
  await tab.goto(tool.url)
  await tab.locator('input[name=base_url]').fill(`https://${server}`)
  await tab.locator('input[name=base_url]').blur()
  if (isByPassword) {
    await tab.locator('input[name=username]').fill('root')
    await tab.locator('input[name=password]').fill(PASSWORD)
    await press('Sign in')
  } else {
    await press('Sign in with OIDC')
    await signInOnPage(tab, { user: 'root', password: PASSWORD })
    await allow(tab)
  }
  await tab.getByRole('menuitem', { name: 'Users' }).first().waitFor({ timeout: 60_000 })
})

await tryList('users', /v3\/users\?/, { field: 'name', text: 'bob' })
const userFilters = isByPassword
  ? ['Show deactivated', 'Show locked users', 'Show guests']
  : ['Status', 'Server Administrator', 'Show deactivated', 'Show locked users']
for (const name of userFilters)
  await step(`users: filter ${name}`, async () => {
    await go(`users${UNFILTERED}`)
    await does('GET', /\/users\?/, () => addFilter(name))
  })
await step('users: find by address', async () => {
  await go(`users${UNFILTERED}`)
  await press('Find user')
  await tab.getByLabel('Address').fill('nobody@example.org')
  const [response] = await Promise.all([tab.waitForResponse(/threepid\/email/), inDialog('Search')])
  if (response.status() !== 404) throw new Error(`${response.status()}`)
})
await step('users: create', async () => {
  await go('users/create')
  await field(isByPassword ? 'id' : 'username').fill('grace')
  const path = isByPassword ? /v2\/users\/@grace/ : /api\/admin\/v1\/users$/
  if (isByPassword) await field('password').fill(PASSWORD)
  await does(isByPassword ? 'PUT' : 'POST', path, () => press('Save'))
})
await step('user: display name', async () => {
  await userPage(alice)
  await field('displayname').fill('Alice A')
  await does('PUT', /v2\/users\/|profile/, () => press('Save'))
})
const lockPath = isByPassword ? /v2\/users\// : /\/(un)?lock$/
for (const what of ['lock', 'unlock'])
  await step(`user: ${what}`, async () => {
    await userPage(bob)
    await field('locked').click()
    await does(isByPassword ? 'PUT' : 'POST', lockPath, () => press('Save'))
  })
for (const [what, name, path, method] of [
  ['suspend', 'suspended', /v1\/suspend/, 'PUT'],
  ['unsuspend', 'suspended', /v1\/suspend/, 'PUT'],
  ['shadow-ban', 'shadow_banned', /shadow_ban/, 'POST'],
  ['end the shadow ban', 'shadow_banned', /shadow_ban/, 'DELETE'],
] as const)
  await step(`user: ${what}`, async () => {
    await userPage(bob)
    await field(name).click()
    await does(method, path, () => press('Save'))
  })
await step('user: make administrator', async () => {
  await userPage(carol)
  await field('admin').click()
  await press('Save')
  await does(isByPassword ? 'PUT' : 'POST', isByPassword ? /v2\/users\// : /set-admin/, () => inDialog('Confirm'))
})
await step('user: end administrator', async () => {
  await userPage(carol)
  await field('admin').click()
  await does(isByPassword ? 'PUT' : 'POST', isByPassword ? /v2\/users\// : /set-admin/, () => press('Save'))
})
if (isByPassword) {
  await step('user: reset password', async () => {
    await userPage(alice)
    await press('Reset password')
    await tab.getByRole('dialog').locator('input').first().fill(PASSWORD)
    await does('POST', /reset_password/, accept)
  })
  await step('user: log in as', async () => {
    await userPage(alice)
    await press('Login as user')
    await does('POST', /\/login$/, accept)
  })
} else
  await step('user: set password', async () => {
    await userPage(alice)
    await press('Set Password')
    await tab.getByRole('dialog').locator('input').first().fill(PASSWORD)
    await does('POST', /set-password/, () => inDialog('Confirm'))
  })
await step('user: server notice', async () => {
  await userPage(alice)
  await press('Send server notices')
  await field('body').fill('Hello')
  await does('POST', /send_server_notice/, () => press('Send note'))
})
await step('user: add e-mail address', async () => {
  await userPage(alice)
  await openTab(/email/i)
  if (isByPassword) {
    await press('Add')
    await field('threepids.0.address').fill('alice@example.org')
    await tab.locator('form .MuiSelect-root').filter({ visible: true }).first().click()
    await tab.getByRole('option', { name: 'Email' }).click()
    await does('PUT', /v2\/users\//, () => press('Save'))
  } else {
    await tab.getByRole('textbox', { name: 'Email' }).filter({ visible: true }).first().fill('alice@example.org')
    await does('POST', /user-emails/, () => press('Add'))
  }
})
if (!isByPassword) {
  await step('user: remove e-mail address', () => does('DELETE', /user-emails/, () => press('Remove')))
  await step('user: link an upstream account', async () => {
    await userPage(alice)
    await openTab(/sso/i)
    await tab.locator('form .MuiSelect-root').filter({ visible: true }).first().click()
    await tab.getByRole('option', { name: 'Campus' }).click()
    await tab.getByLabel('Subject').fill('alice-at-campus')
    await does('POST', /upstream-oauth-links/, () => press('Create'))
  })
  await step('user: remove the link', async () => {
    await press('Remove')
    await does('DELETE', /upstream-oauth-links/, () => inDialog('Confirm'))
  })
  await step('user: create a personal session', async () => {
    await userPage(alice)
    await openTab(/^sessions/i)
    await tab.getByLabel('Scope').filter({ visible: true }).fill('urn:matrix:client:api:*')
    await tab.getByLabel(/name/i).filter({ visible: true }).first().fill('A bot')
    await does('POST', /personal-sessions/, () => press('Create'))
    await inDialog('OK')
  })
  for (const kind of ['Browser', 'OAuth2', 'Compatibility', 'Personal'])
    await step(`user: ${kind.toLowerCase()} sessions`, async () => {
      await userPage(alice)
      await openTab(/^sessions/i)
      await tab.getByRole('tab', { name: `${kind} Sessions` }).click()
    })
  await step('user: revoke the personal session', async () => {
    await press('Revoke')
    await does('POST', /personal-sessions.*revoke/, () => inDialog('Confirm'))
  })
}
await step('user: create device', async () => {
  await userPage(alice)
  await openTab(/devices/i)
  await press('Create device')
  await tab
    .getByLabel('Device-ID')
    .or(tab.getByLabel(/device.id/i))
    .first()
    .fill('NEWDEVICE')
  await does('POST', /\/devices$/, () => inDialog('Create'))
})
await step('user: rename device', async () => {
  await userPage(alice)
  await openTab(/devices/i)
  const name = tab.getByLabel('Device name').first()
  await name.fill('Renamed')
  await does('PUT', /\/devices\//, () => name.press('Enter'))
})
await step('user: remove device', async () => {
  await tab.getByRole('row').filter({ hasText: 'NEWDEVICE' }).getByRole('button', { name: 'Remove' }).click()
  await does('DELETE', /\/devices\//, () => inDialog('Confirm'))
})
for (const [name, api] of [
  ['connections', /whois/],
  ['media', /users\/.*\/media/],
  ['rooms', /joined_rooms/],
  ['memberships', /memberships/],
  ['pushers', /pushers/],
  ['experimental', /experimental_features/],
  ['rate limits', /override_ratelimit/],
  ['account data', /accountdata/],
] as const)
  await step(`user: ${name}`, () =>
    does('GET', api, async () => {
      await userPage(bob)
      await openTab(new RegExp(`^${name}`, 'i'))
    }),
  )
await step('user: set rate limit', async () => {
  await does('GET', /override_ratelimit/, async () => {
    await userPage(bob)
    await openTab(/rate limits/i)
  })
  await tab.locator('input[type=number]').filter({ visible: true }).first().fill('5')
  await does('POST', /override_ratelimit/, () => press('Save'))
})
for (const [what, name, path] of [
  ['quarantine a file', 'Quarantine', /media\/quarantine\//],
  ['unquarantine a file', 'Unquarantine', /media\/unquarantine\//],
  ['protect a file', 'Protect', /media\/protect\//],
  ['unprotect a file', 'Unprotect', /media\/unprotect\//],
] as const)
  await step(`user: ${what}`, async () => {
    await userPage(bob)
    await openTab(/^media/i)
    await does('POST', path, () =>
      tab
        .getByRole('button', { name: new RegExp(`^${name}`, 'i') })
        .filter({ visible: true })
        .last()
        .click(),
    )
  })
await step('user: quarantine all media', async () => {
  await userPage(bob)
  await openTab(/^media/i)
  await press('Quarantine all media')
  await does('POST', /user\/.*\/media\/quarantine/, () => inDialog('Confirm'))
})
await step('user: delete all media', async () => {
  await userPage(bob)
  await openTab(/^media/i)
  await press('Delete all media')
  await does('DELETE', /users\/.*\/media/, () => inDialog('Confirm'))
})

await tryList('rooms', /v1\/rooms\?/, { field: 'search_term', text: 'Libr' })
for (const name of ['Public rooms', 'Empty rooms'])
  await step(`rooms: filter ${name}`, async () => {
    await go(`rooms${UNFILTERED}`)
    await addFilter(name)
    await tab.locator('form .MuiSelect-root').filter({ visible: true }).first().click()
    await does('GET', /_rooms=true/, () => tab.getByRole('option', { name: 'Yes' }).click())
  })
await step('room: page', () => does('GET', /v1\/rooms\/![^/?]*$/, () => roomPage(garden)))
for (const [name, api] of [
  ['members', /\/members/],
  ['media', /room\/.*\/media/],
  ['state events', /\/state/],
  ['messages', /\/messages|timestamp_to_event/],
  ['forward extremities', /forward_extremities/],
] as const)
  await step(`room: ${name}`, async () => {
    await roomPage(garden)
    await does('GET', api, () => openTab(new RegExp(`^${name}`, 'i')))
  })
await step('room: block', async () => {
  await roomPage(library)
  await press('Block')
  await does('PUT', /\/block$/, () => inDialog('Confirm'))
})
await step('room: unblock', async () => {
  await roomPage(library)
  await does('PUT', /\/block$/, () => press('Unblock'))
})
await step('room: publish', async () => {
  await roomPage(library)
  await does('PUT', /directory\/list\/room/, () => press('Publish in room directory'))
})
await step('room: end the publication', async () => {
  await roomPage(library)
  await press('Delete from room directory')
  await does('PUT', /directory\/list\/room/, () => inDialog('Confirm'))
})
await step('room: purge history', async () => {
  await roomPage(garden)
  await press('Purge history')
  await tab.getByRole('dialog').locator('input[type=datetime-local]').fill('2030-01-01T00:00')
  await does('POST', /purge_history\//, () => inDialog('Confirm'))
})
await step('room: assign admin', async () => {
  await roomPage(garden)
  await press('Assign admin')
  await tab.getByRole('dialog').locator('input').first().fill(bob)
  await does('POST', /make_room_admin/, accept)
})
await step('room: add user', async () => {
  await roomPage(garden)
  await press('Add user')
  await tab.getByRole('dialog').locator('input').first().fill(carol)
  await does('POST', /v1\/join\//, accept)
})
await step('room: delete', async () => {
  await roomPage(library)
  await press('Delete')
  await does('DELETE', /v2\/rooms\//, () => inDialog('Confirm'))
})

await tryList('user_media_statistics', /statistics\/users\/media/, { field: 'search_term', text: 'alice' })
await step('media: delete old files', async () => {
  await go('user_media_statistics')
  await press('Delete media')
  await field('before_ts').fill('2020-01-01T00:00')
  await does('POST', /media\/delete/, accept)
})
await step('media: purge remote files', async () => {
  await go('user_media_statistics')
  await press('Purge remote media')
  await field('before_ts').fill('2020-01-01T00:00')
  await does('POST', /purge_media_cache/, accept)
})
await tryList('database_room_statistics', /statistics\/database\/rooms/)
await tryList('reports', /event_reports\?/)
await step('report: page', () => does('GET', /event_reports\/\d+/, () => go('reports/1/show')))
await step('report: look up an event', async () => {
  await go('reports')
  await press('Look Up Event')
  await tab.getByRole('dialog').locator('input').first().fill('$unknown')
  const [response] = await Promise.all([tab.waitForResponse(/fetch_event/), accept()])
  if (response.status() !== 404) throw new Error(`${response.status()} ${await response.text()}`)
})
await step('report: delete', async () => {
  await go('reports/1/show')
  await press('Delete')
  await does('DELETE', /event_reports\/\d+/, () => inDialog('Confirm'))
})
await tryList('user_reports', /user_reports\?/, { field: 'user_id', text: alice })
await step('user report: delete', async () => {
  await go('user_reports')
  await tab.getByRole('row').filter({ hasText: 'Sells seeds' }).click()
  await press('Delete')
  await does('DELETE', /user_reports\/\d+/, () => inDialog('Confirm'))
})
await tryList('room_directory', /publicRooms/)
await tryList('destinations', /federation\/destinations/)
await tryList('scheduled_tasks', /scheduled_tasks/)
await step('registration tokens: create', async () => {
  await go('registration_tokens/create')
  await field('token').fill('summer')
  await field('uses_allowed').fill('5')
  await does('POST', /registration.tokens/, () => press('Save'))
})
await tryList('registration_tokens', /registration.tokens/)
await step('registration token: edit', async () => {
  await go('registration_tokens')
  await tab.getByRole('row').filter({ hasText: 'summer' }).getByText('summer').click()
  await field('uses_allowed').fill('7')
  await does('PUT', /registration.tokens\//, () => press('Save'))
})
await step('registration token: end', async () => {
  await go('registration_tokens')
  await tab.getByRole('row').filter({ hasText: 'summer' }).getByText('summer').click()
  if (!isByPassword) return does('POST', /registration.tokens\//, () => press('Revoke'))
  // It sends the request when its offer to undo the deletion has ended.
  await does('DELETE', /registration.tokens\//, () => press('Delete'))
})
if (!isByPassword) {
  for (const kind of ['compat', 'oauth2', 'personal', 'user'])
    await tryList(`mas_${kind}_sessions`, new RegExp(`${kind}-sessions`))
  for (const kind of ['links', 'providers'])
    await tryList(`mas_upstream_oauth_${kind}`, new RegExp(`upstream-oauth-${kind}`))
  await step('compat session: end', async () => {
    await go('mas_compat_sessions')
    await tab.getByRole('button', { name: 'Terminate' }).last().click()
    await does('POST', /compat-sessions\/.*finish/, () => inDialog('Confirm'))
  })
}
await step('user: deactivate', async () => {
  await userPage(bob)
  await press('Delete')
  if (isByPassword)
    for (const name of ['Delete all media uploaded by this user', 'Redact all events sent by this user'])
      await tab.getByRole('dialog').getByLabel(name).click()
  const path = isByPassword ? /v1\/deactivate\// : /\/deactivate$/
  await does('POST', path, async () => {
    const input = tab.getByRole('dialog').locator('input[type=text]')
    if ((await input.count()) > 0) await input.fill(bob)
    await inDialog('Confirm')
  })
})
await step('user: reactivate', async () => {
  await userPage(bob)
  await field('deactivated').click()
  if (isByPassword) await field('password').fill(PASSWORD)
  await does(isByPassword ? 'PUT' : 'POST', isByPassword ? /v2\/users/ : /reactivate/, () => press('Save'))
})
await tryBulkActs({ ...ketesa, step, tab, isByPassword })
await step('Sign out', async () => {
  await tab
    .getByRole('button', { name: /root|profile/i })
    .first()
    .click()
  await tab.getByRole('menuitem', { name: 'Logout' }).click()
  await tab.locator('input[name=base_url]').waitFor()
})

await tool.finish()
