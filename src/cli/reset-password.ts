import { loadConfig } from '../config.ts'
import { setPassword } from '../services/users/set-password.ts'
import { askAccount } from './ask-account.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { explainDataFolderLock, withAuditedApp } from './open-configured.ts'
import { PASSWORD_OPTION, readPassword } from './read-password.ts'

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
    const userId = await askAccount(config, username, 'reset-password')
    const password = await readPassword(passwordFile)
    await withAuditedApp(config, { command: 'reset-password', target: userId }, (app) =>
      setPassword(app, { userId, password, logOutDevices: !keepSessions, leaveDirectory }),
    ).catch(explainDataFolderLock)
    console.log(`${userId} has a new password.`)
    return 0
  },
})
