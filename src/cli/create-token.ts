import { loadConfig } from '../config.ts'
import type { DeviceId } from '../core/ids.ts'
import { createPersonalToken, type NewPersonalToken, PERSONAL_TOKEN_SCOPES } from '../services/users/personal-tokens.ts'
import { askAccount } from './ask-account.ts'
import { CONFIG_OPTION, defineCommand } from './command.ts'
import { EXPIRES_OPTION, parseExpires } from './expires-option.ts'
import { explainDataFolderLock, withAuditedApp } from './open-configured.ts'

const [API_SCOPE, ...ADMIN_SCOPES] = PERSONAL_TOKEN_SCOPES

export const createToken = defineCommand({
  argument: '[USERNAME]',
  about:
    'Creates a personal token: an access token with which a bot or a script acts as a user. It is valid until it expires or is revoked. A server on the embedded database must be stopped first; users can also create tokens at /account/tokens while it runs.',
  options: {
    ...CONFIG_OPTION,
    name: { type: 'string', value: 'NAME', about: 'what the token is for; absent: the time of its creation' },
    scope: {
      type: 'string',
      value: 'SCOPE',
      about: `the rights, separated by blanks: ${API_SCOPE} (the default), and for administrators ${ADMIN_SCOPES.join(' and ')}`,
    },
    ...EXPIRES_OPTION,
    device: {
      type: 'string',
      value: 'ID',
      about: 'the device of a bot that encrypts: a new one, or that of an older personal token, which ends',
    },
    json: { type: 'boolean', about: 'print a JSON object' },
  },
  examples: [
    ['token create weatherbot --name "Weather bot"', 'for a bot without encryption'],
    ['token create backup --expires 90d --json --config hearth.yaml', 'in a script'],
  ],
  async run({ config: configFile, name, scope = API_SCOPE, expires, device, json }, username) {
    const config = loadConfig({ configFile })
    const lifetimeMs = parseExpires(expires)
    const userId = await askAccount(config, username, 'token create')
    const act = { command: 'token create', target: userId, details: { name, scope, expires, device } }
    const token = await withAuditedApp(config, act, (app) => {
      const wanted = { userId, name: name ?? new Date(app.clock.now()).toISOString(), scope, lifetimeMs }
      return createPersonalToken(app, { ...wanted, deviceId: device as DeviceId | undefined }, { byOperator: true })
    }).catch(explainDataFolderLock)
    console.log(json ? JSON.stringify(token) : describe(token))
    return 0
  },
})

function describe({ access_token, token_id, user_id, device_id, scope, expires_ts }: NewPersonalToken): string {
  const expiry = expires_ts === null ? 'without an end' : `until ${new Date(expires_ts).toISOString()}`
  const device = device_id === null ? '' : ` Its device is ${device_id}.`
  return `${access_token}

This token acts as ${user_id} (${scope}), ${expiry}.${device}
It is shown only this once: keep it now. To revoke it: hearth token revoke ${token_id}`
}
