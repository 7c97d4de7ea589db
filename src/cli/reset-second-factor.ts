import { loadConfig } from '../config.ts'
import { resetSecondFactors } from '../services/sign-in/second-factors.ts'
import { askAccount } from './ask-account.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { explainDataFolderLock, withAuditedApp } from './open-configured.ts'

export const resetSecondFactor = defineCommand({
  argument: '[USERNAME]',
  about:
    'Removes the authenticator app, all passkeys and the recovery codes of an account, for a user who lost them. The user can sign in with the password alone then, and set up a new second factor. Check first that the request comes from the user. A server on the embedded database must be stopped first.',
  options: CONFIG_OPTION,
  examples: [
    ['reset-second-factor alice', 'for a user who lost the phone and the recovery codes'],
    ['reset-second-factor @alice:example.org --config hearth.yaml', 'with a configuration file'],
  ],
  async run({ config: configFile }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'reset-second-factor')
    const hadAny = await withAuditedApp(config, { command: 'reset-second-factor', target: userId }, (app) =>
      resetSecondFactors(app, userId),
    ).catch(explainDataFolderLock)
    console.log(hadAny ? `${userId} has no second factor any more.` : `${userId} has no second factor: nothing to do.`)
    return 0
  },
})
