import { type Config, loadConfig } from '../config.ts'
import { createUser as createAccount } from '../services/users/create-user.ts'
import { DataFolderLockedError } from '../storage/engine/data-folder-lock.ts'
import { CONFIG_OPTION, CommandError, defineCommand } from './command.ts'
import { withAuditedApp } from './open-configured.ts'
import { ask, PASSWORD_OPTION, readPassword } from './read-password.ts'
import { registerOverHttp } from './register-over-http.ts'
import { findRunningServer } from './running-server.ts'

type Account = { localpart: string; password: string; admin: boolean }

export const createUserCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Creates an account, even if registration is closed, and whether or not the server runs. Prompts for missing values. A password from standard input is the first line.',
  options: {
    ...CONFIG_OPTION,
    ...PASSWORD_OPTION,
    admin: { type: 'boolean', about: 'make the account an administrator of the server' },
  },
  examples: [
    ['create-user --admin', 'create the first account'],
    ['create-user alice --config hearth.yaml --password-file alice.txt', 'create one in a script'],
  ],
  async run({ config: configFile, 'password-file': passwordFile, admin = false }, username) {
    const config = loadConfig({ configFile })
    const name = username ?? (await ask('User name: ', 'Name the account: hearth create-user USERNAME'))
    const account = { localpart: localpartOf(name, config), password: await readPassword(passwordFile), admin }
    const userId = await createAnywhere(config, account)
    console.log(
      `Created the account ${userId}${admin ? ', an administrator' : ''}. It can log in at ${config.public_base_url}`,
    )
    return 0
  },
})

/** A running server holds the embedded database: ask that server to create the account. */
async function createAnywhere(config: Config, account: Account): Promise<string> {
  const { localpart, admin } = account
  const act = { command: 'create-user', target: `@${localpart}:${config.server_name}`, details: { admin } }
  try {
    return await withAuditedApp(config, act, (app) => createAccount(app, account))
  } catch (error) {
    if (!(error instanceof DataFolderLockedError)) throw error
    const { localpart: username, password, admin } = account
    return registerOverHttp(findRunningServer(config, 'create the account'), { username, password, admin })
  }
}

/** Accepts a whole user id too. */
function localpartOf(name: string, { server_name }: Config): string {
  const [, localpart, server] = /^@([^:]*):(.*)$/.exec(name) ?? []
  if (localpart === undefined) return name
  if (server === server_name) return localpart
  throw new CommandError(`${name} is not an account of this server, which is ${server_name}.`)
}
