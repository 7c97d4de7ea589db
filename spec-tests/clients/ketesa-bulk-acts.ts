import { type AdminTool, PASSWORD } from './admin-tool.ts'
import type { Ketesa } from './ketesa-pages.ts'

type Driven = Ketesa & Pick<AdminTool, 'step' | 'tab'> & { isByPassword: boolean }

/** Tries what Ketesa does with several selected users or rooms, and its import of users from a file. */
export async function tryBulkActs(driven: Driven): Promise<void> {
  await tryOnUsers(driven)
  await tryOnRooms(driven)
}

const USERS = ['dave', 'erin'] as const

async function tryOnUsers({ tab, step, isByPassword, select, press, field, does, inDialog, go }: Driven) {
  await step('users: notices to several', async () => {
    await select('users', ...USERS)
    await press('Send server notices')
    await field('body').fill('Hello')
    await does('POST', /send_server_notice/, () => press('Send note'), 2)
  })
  await step('users: delete media of several', async () => {
    await select('users', ...USERS)
    await press('Delete all media')
    await does('DELETE', /users\/.*\/media/, () => inDialog('Confirm'), 2)
  })
  await step('users: import a file', async () => {
    await go('import_users')
    const lines = isByPassword
      ? [
          'id,displayname,password,admin,threepids',
          `heidi,Heidi,${PASSWORD},false,email:heidi@example.org`,
          'ivan,I,,,',
        ]
      : ['id,displayname', 'heidi,Heidi', 'ivan,Ivan']
    const buffer = Buffer.from(lines.join('\n'))
    await tab.locator('input[type=file]').setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer })
    await tab.getByLabel('Simulate only').uncheck()
    const path = isByPassword ? /v2\/users\/@(heidi|ivan)/ : /api\/admin\/v1\/users$/
    await does(isByPassword ? 'PUT' : 'POST', path, () => press('Import'), 2)
    await tab.getByText('Import results').waitFor()
  })
  await step('users: delete several', async () => {
    await select('users', 'heidi', 'ivan')
    await press('Delete')
    await does('POST', /\/deactivate/, () => inDialog('Confirm'), 2)
  })
}

async function tryOnRooms({ tab, step, select, does, inDialog }: Driven): Promise<void> {
  // The list below the toolbar has a hidden "Block" of its own.
  const toolbar = tab.locator('[class*=RaBulkActionsToolbar]').first()
  const press = (name: string) => toolbar.getByRole('button', { name, exact: true }).click()
  const selectRooms = () => select('rooms', 'Garden', 'Office')
  for (const [what, name, method, path] of [
    ['block', 'Block', 'PUT', /\/block$/],
    ['end the publication of', 'Delete from room directory', 'PUT', /directory\/list\/room/],
    ['delete media of', 'Delete all media', 'GET', /room\/.*\/media/],
  ] as const)
    await step(`rooms: ${what} several`, async () => {
      await selectRooms()
      await press(name)
      await does(method, path, () => inDialog('Confirm'), 2)
    })
  for (const [what, name, path] of [
    ['unblock', 'Unblock', /\/block$/],
    ['publish', 'Publish in room directory', /directory\/list\/room/],
  ] as const)
    await step(`rooms: ${what} several`, async () => {
      await selectRooms()
      await does('PUT', path, () => press(name), 2)
    })
  await step('rooms: delete several', async () => {
    await selectRooms()
    await press('Delete')
    await does('DELETE', /v2\/rooms\//, () => inDialog('Confirm'), 2)
  })
}
