import { loadConfig } from '../config.ts'
import { loadPersonalTokens, type PersonalToken } from '../storage/users/personal-tokens.ts'
import { askAccount } from './ask-account.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { explainDataFolderLock, withApp } from './open-configured.ts'

export const listTokens = defineCommand({
  argument: '[USERNAME]',
  about:
    'Lists the personal tokens of a user, without their secrets: the ID, the name, and when it was created and last used, and expires. A server on the embedded database must be stopped first.',
  options: { ...CONFIG_OPTION, json: { type: 'boolean', about: 'print a JSON list' } },
  examples: [['token list weatherbot', 'find the token to revoke']],
  async run({ config: configFile, json }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'token list')
    const tokens = await withApp(config, (app) => loadPersonalTokens(app.database, userId)).catch(explainDataFolderLock)
    if (json) console.log(JSON.stringify(tokens))
    else if (tokens.length === 0) console.log(`${userId} has no personal tokens.`)
    else for (const token of tokens) console.log(describe(token))
    return 0
  },
})

function describe({ token_id, name, created_ts, last_used_ts, expires_ts, device_id, scope }: PersonalToken): string {
  const used = last_used_ts === 0 ? 'never used' : `last used ${dayOf(last_used_ts)}`
  const expiry = expires_ts === null ? 'no expiry' : `expires ${dayOf(expires_ts)}`
  const device = device_id === null ? [] : [`device ${device_id}`]
  return `${token_id}  ${name}\n  ${[`created ${dayOf(created_ts)}`, used, expiry, ...device, scope].join(', ')}`
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
