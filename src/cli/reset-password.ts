import { loadConfig } from '../config.ts'
import { setPassword } from '../services/users/set-password.ts'
import { localUserId } from '../services/users/user-names.ts'
import { DataFolderLockedError } from '../storage/engine/data-folder-lock.ts'
import { CONFIG_OPTION, CommandError, defineCommand } from './command.ts'
import { withApp } from './open-configured.ts'
import { ask, PASSWORD_OPTION, readPassword } from './read-password.ts'

export const resetPassword = defineCommand({
  argument: '[USERNAME]',
  about:
    'Sets a new password and ends the sessions of the account. Prompts for missing values. A password from standard input is the first line. A server on the embedded database must be stopped first.',
  options: {
    ...CONFIG_OPTION,
    ...PASSWORD_OPTION,
    'keep-sessions': { type: 'boolean', about: 'keep clients logged in' },
    'leave-directory': { type: 'boolean', about: 'give an account of the LDAP directory a password of its own' },
  },
  examples: [
    ['reset-password alice', 'for a user who forgot it'],
    ['reset-password @alice:example.org --config hearth.yaml --keep-sessions', 'without logging the clients out'],
  ],
  async run({ config: configFile, 'password-file': passwordFile, ...values }, username) {
    const { 'keep-sessions': keepSessions = false, 'leave-directory': leaveDirectory = false } = values
    const config = loadConfig({ configFile })
    const name = username ?? (await ask('User name: ', 'Name the account: hearth reset-password USERNAME'))
    const userId = localUserId({ serverName: config.server_name }, name)
    if (!userId) throw new CommandError(`${name} is not an account of this server, which is ${config.server_name}.`)
    const password = await readPassword(passwordFile)
    await withApp(config, (app) =>
      setPassword(app, { userId, password, logOutDevices: !keepSessions, leaveDirectory }),
    ).catch(explainLock)
    console.log(`${userId} has a new password.`)
    return 0
  },
})

function explainLock(error: unknown): never {
  if (!(error instanceof DataFolderLockedError)) throw error
  throw new CommandError('A running Hearth uses the embedded database. Stop it, run this again, then start it.')
}
