import { v1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { askAccount } from '../ask-account.ts'
import { defineCommand } from '../command.ts'
import { PASSWORD_OPTION, readPassword } from '../read-password.ts'
import { ADMIN_OPTIONS } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { print } from './print.ts'

export const resetPasswordCommand = defineCommand({
  argument: '[USERNAME]',
  about:
    'Sets a new password and ends the sessions of the account. Prompts for missing values. A password from standard input is the first line.',
  options: {
    ...ADMIN_OPTIONS,
    ...PASSWORD_OPTION,
    'keep-sessions': { type: 'boolean', about: 'keep clients logged in' },
    'leave-directory': { type: 'boolean', about: 'give an account of the LDAP directory a password of its own' },
  },
  examples: [
    ['user reset-password alice', 'for a user who forgot it'],
    ['user reset-password @alice:example.org --config hearth.yaml --keep-sessions', 'without logging the clients out'],
  ],
  async run({ config: configFile, json, 'password-file': passwordFile, ...values }, username) {
    const { 'keep-sessions': keepSessions = false, 'leave-directory': leaveDirectory = false } = values
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'user reset-password')
    const body = {
      ...{ new_password: await readPassword(passwordFile), logout_devices: !keepSessions },
      leave_directory: leaveDirectory,
    }
    const path = v1(`/reset_password/${encodeURIComponent(userId)}`)
    const answer = await withAdminApi(config, ({ request }) => request('POST', path, body))
    print(answer, { json, describe: () => `${userId} has a new password.` })
    return 0
  },
})
