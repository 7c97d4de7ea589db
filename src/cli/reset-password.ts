import { loadConfig } from '../config.ts'
import { setPassword } from '../services/users/set-password.ts'
import { localUserId } from '../services/users/user-names.ts'
import { DataFolderLockedError } from '../storage/data-folder-lock.ts'
import { CONFIG_OPTION, CommandError, defineCommand } from './command.ts'
import { withApp } from './open-configured.ts'
import { ask, PASSWORD_OPTION, readPassword } from './read-password.ts'

export const resetPassword = defineCommand({
  argument: '[USERNAME]',
  about:
    'Gives an account a new password and ends its sessions. Asks for what is not given; a password from standard input is its first line. A server on the embedded database has to be stopped for it.',
  options: {
    ...CONFIG_OPTION,
    ...PASSWORD_OPTION,
    'keep-sessions': { type: 'boolean', about: 'leave clients that are logged in so' },
  },
  examples: [
    ['reset-password alice', 'for somebody who has forgotten it'],
    ['reset-password @alice:example.org --config hearth.yaml --keep-sessions', 'without logging the clients out'],
  ],
  async run({ config: configFile, 'password-file': passwordFile, 'keep-sessions': keepSessions = false }, username) {
    const config = loadConfig({ configFile })
    const name = username ?? (await ask('User name: ', 'Say which account: hearth reset-password USERNAME'))
    const userId = localUserId({ serverName: config.server_name }, name)
    if (!userId) throw new CommandError(`${name} is not an account of this server, which is ${config.server_name}.`)
    const password = await readPassword(passwordFile)
    await withApp(config, (app) => setPassword(app, { userId, password, logOutDevices: !keepSessions })).catch(
      explainLock,
    )
    console.log(`${userId} has a new password.`)
    return 0
  },
})

function explainLock(error: unknown): never {
  if (!(error instanceof DataFolderLockedError)) throw error
  throw new CommandError('A running Hearth has the embedded database. Stop it, run this again, and start it.')
}
