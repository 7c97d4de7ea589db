import { allow, signInOnPage } from '../harness/sign-in-pages.ts'
import { PASSWORD, startAdminTool } from './admin-tool.ts'

/**
 * Tries each list, filter and action of Element Admin in Debian's Chromium. Build its repository with `pnpm install` and
 * `pnpm build`, then run `node spec-tests/clients/drive-element-admin.ts FOLDER/dist`. SCREENSHOTS=folder keeps a picture
 * of each failure.
 */
const tool = await startAdminTool({ fallback: true })
const { tab, step, users, server } = tool
const button = (name: string | RegExp) => tab.getByRole('button', { name }).first()
const press = (name: string | RegExp) => button(name).click()
const see = (text: string | RegExp) => tab.getByText(text).first().waitFor()
const open = (path: string) => tab.goto(new URL(path, tool.url).href)
const [alice] = users.map(({ userId }) => userId) as [string]

async function filter(name: string): Promise<void> {
  await press('Filter')
  await tab.getByRole('menuitemcheckbox', { name, exact: true }).click()
  await tab.keyboard.press('Escape')
}

/** Presses a button, and confirms with the one of this name in the dialog. */
async function confirm(name: string, answer = name): Promise<void> {
  await press(name)
  await tab.getByRole('dialog').getByRole('button', { name: answer, exact: true }).click()
}

await step('Sign in', async () => {
  await tab.goto(tool.url)
  await tab.getByLabel('Server name').fill(server)
  await press('Get started')
  await signInOnPage(tab, { user: 'root', password: PASSWORD })
  await allow(tab)
  await see('Dashboard')
})
await step('Dashboard: version and counts', async () => {
  await see(/Hearth/)
  await see('Users registered')
})
await step('Users: list and count', async () => {
  await open('/users')
  await see(alice)
  await see(/\d+ users/)
})
await step('Users: search', async () => {
  await tab
    .getByRole('searchbox')
    .or(tab.getByPlaceholder(/search/i))
    .first()
    .fill('bob')
  await see('1 user')
})
for (const name of [
  ...[
    'Newest first',
    'Admins',
    'Guests (legacy)',
    'Non-guests (legacy)',
    'Active users',
    'Locked users',
    'Deactivated users',
  ],
])
  await step(`Users: filter ${name}`, async () => {
    await open('/users')
    await see(/\d+ users?/)
    await filter(name)
    await tab.waitForURL(/\?/)
    await see(/users?$/)
  })
await step('Users: add', async () => {
  await open('/users')
  await press('Add')
  await tab.getByLabel('Enter name').fill('frank')
  await press('Create account')
  await see('User created')
})
await step('User: page', async () => {
  await open('/users')
  await tab.getByRole('link', { name: alice }).click()
  await tab.waitForURL(/users\/[0-9A-Z]{26}/)
  await see('Lock account')
})
await step('User: lock', async () => {
  await confirm('Lock account')
  await see('Account locked')
})
await step('User: unlock', async () => {
  await press('Unlock account')
  await see('Account unlocked')
})
await step('User: change password', async () => {
  await press('Change password')
  await tab.getByLabel('Password', { exact: true }).fill('a new horse battery')
  await tab.getByLabel('Enter password again').fill('a new horse battery')
  await press('Set new password')
  await see('Password set successfully')
})
await step('User: add e-mail address', async () => {
  await press('Add email address')
  await tab.getByRole('textbox', { name: 'Email address' }).fill('alice@example.org')
  await tab.getByRole('dialog').getByRole('button', { name: 'Add' }).click()
  await see('Email address added')
  await see('alice@example.org')
})
await step('User: remove e-mail address', async () => {
  await confirm('Remove')
  await see('Email address deleted')
})
await step('User: link to an upstream account', async () => {
  await press('Add link to upstream account')
  await tab.getByLabel('Subject').fill('alice-at-campus')
  await tab.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
  await see('Link to upstream account added')
})
await step('User: remove the link', async () => {
  await confirm('Remove')
  await see('Upstream link deleted')
})
await step('User: make admin', async () => {
  await tab.getByLabel('Admin', { exact: true }).click()
  await press('Make admin')
  await see('now has admin privileges')
})
await step('User: end admin', async () => {
  await tab.getByLabel('Admin', { exact: true }).click()
  await see('no longer has admin privileges')
})
await step('User: deactivate', async () => {
  await confirm('Deactivate account')
  await see('Account deactivated')
})
await step('User: reactivate', async () => {
  await press('Reactivate')
  await see('Account reactivated')
})
await step('User: unknown id', async () => {
  await open('/users/00000000000000000000000000')
  await see('User not found')
})
await step('Registration tokens: create', async () => {
  await open('/registration-tokens')
  await press('Add')
  await tab.getByLabel('Custom Token').fill('summer')
  await tab.getByLabel('Usage Limit').fill('5')
  await press('Create Token')
  await see('Token created successfully')
})
await step('Registration tokens: create a generated one', async () => {
  await open('/registration-tokens')
  await press('Add')
  await press('Create Token')
  await see('Token created successfully')
  await see('2 tokens')
})
await step('Registration tokens: list and count', async () => {
  await open('/registration-tokens')
  await see('summer')
  await see('2 tokens')
})
for (const name of ['Active', 'Used', 'Unused', 'Revoked', 'Expired'])
  await step(`Registration tokens: filter ${name}`, async () => {
    await open('/registration-tokens')
    await see(/\d+ tokens?/)
    await filter(name)
    await tab.waitForURL(/\?/)
    await see(/tokens?$/)
  })
await step('Registration token: page', async () => {
  await open('/registration-tokens')
  await tab.getByRole('link', { name: 'summer' }).click()
  await see('Revoke token')
})
await step('Registration token: edit', async () => {
  await press('Edit properties')
  await tab.getByLabel('Usage limit').fill('7')
  await press('Save Changes')
  await see('0 / 7')
})
await step('Registration token: revoke', async () => {
  await press('Revoke token')
  await see('Revoked at')
})
await step('Registration token: unrevoke', async () => {
  await press('Unrevoke token')
  await button('Revoke token').waitFor()
})
await step('Rooms: list and count', async () => {
  await open('/rooms')
  await see('Garden')
  await see(/\d+ rooms/)
})
for (const name of ['Private rooms', 'Public rooms', 'Non-empty rooms', 'Empty rooms'])
  await step(`Rooms: filter ${name}`, async () => {
    await open('/rooms')
    await see(/\d+ rooms?/)
    await filter(name)
    await tab.waitForURL(/\?/)
    await see(/rooms?$/)
  })
await step('Rooms: search', async () => {
  await open('/rooms')
  await tab
    .getByRole('searchbox')
    .or(tab.getByPlaceholder(/search/i))
    .first()
    .fill('Libr')
  await see('1 room')
})
await step('Room: page with members', async () => {
  await open('/rooms')
  await tab.getByRole('link', { name: /Garden/ }).click()
  await see(tool.rooms[0]!)
})
await step('Room: unknown id', async () => {
  await open(`/rooms/${encodeURIComponent('!nothing:example.org')}`)
  await see('Room not found')
})
await step('Refresh of the tokens after a reload', async () => {
  await open('/users')
  await see(alice)
})
await step('Sign out', async () => {
  await tab.getByRole('button', { name: /root/ }).or(tab.locator('header button')).first().click()
  await tab.getByRole('menuitem', { name: 'Sign out' }).click()
  await button('Get started').waitFor()
})

await tool.finish()
