import { loadConfig } from '../config.ts'
import { revokePersonalToken } from '../services/users/personal-tokens.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from './command.ts'
import { explainDataFolderLock, withAuditedApp } from './open-configured.ts'

export const revokeTokenCommand = defineCommand({
  argument: 'TOKEN_ID',
  about:
    'Revokes a personal token, and deletes its device if it has one. hearth token list shows the IDs. A server on the embedded database must be stopped first.',
  options: CONFIG_OPTION,
  examples: [['token revoke 8ZkWqTn3bV5x', 'when a bot is retired, or its token has leaked']],
  async run({ config: configFile }, tokenId) {
    if (tokenId === undefined) throw new UsageError('Name the token: hearth token revoke TOKEN_ID')
    const config = loadConfig({ configFile })
    await withAuditedApp(config, { command: 'token revoke', target: tokenId }, (app) =>
      revokePersonalToken(app, { tokenId }),
    ).catch(explainDataFolderLock)
    console.log(`The token ${tokenId} is revoked.`)
    return 0
  },
})
