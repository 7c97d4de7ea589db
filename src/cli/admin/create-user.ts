import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { type Config, loadConfig } from '../../config.ts'
import { CommandError, defineCommand } from '../command.ts'
import { ask, PASSWORD_OPTION, readPassword } from '../read-password.ts'
import { ADMIN_OPTIONS } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { print } from './print.ts'

export const createUserCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Creates an account, even if registration is closed, and whether or not the server runs. Prompts for missing values. A password from standard input is the first line.',
  options: {
    ...ADMIN_OPTIONS,
    ...PASSWORD_OPTION,
    admin: { type: 'boolean', about: 'make the account an administrator of the server' },
  },
  examples: [
    ['user create --admin', 'create the first account'],
    ['user create alice --config hearth.yaml --password-file alice.txt', 'create one in a script'],
  ],
  async run({ config: configFile, json, 'password-file': passwordFile, admin = false }, username) {
    const config = loadConfig({ configFile })
    const name = username ?? (await ask('User name: ', 'Name the account: hearth user create USERNAME'))
    const account = { username: localpartOf(name, config), password: await readPassword(passwordFile), admin }
    const user = await withAdminApi(config, ({ request }) => request('POST', hearthV1('/users'), account))
    print(user, { json, describe: () => describe(user.name, admin, config) })
    return 0
  },
})

function describe(userId: string, admin: boolean, { public_base_url }: Config): string {
  return `Created the account ${userId}${admin ? ', an administrator' : ''}. It can log in at ${public_base_url}`
}

/** Accepts a whole user id too. */
function localpartOf(name: string, { server_name }: Config): string {
  const [, localpart, server] = /^@([^:]*):(.*)$/.exec(name) ?? []
  if (localpart === undefined) return name
  if (server === server_name) return localpart
  throw new CommandError(`${name} is not an account of this server, which is ${server_name}.`)
}
