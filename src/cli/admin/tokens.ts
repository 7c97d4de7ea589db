import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { type NewPersonalToken, PERSONAL_TOKEN_SCOPES } from '../../services/users/personal-tokens.ts'
import type { PersonalToken } from '../../storage/users/personal-tokens.ts'
import { askAccount } from '../ask-account.ts'
import { defineCommand } from '../command.ts'
import { EXPIRES_OPTION, parseExpires } from '../expires-option.ts'
import { ADMIN_OPTIONS, defineAct } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { columns, print, time } from './print.ts'

export const createToken = defineCommand({
  argument: '[USERNAME]',
  about:
    'Creates a personal token: an access token with which a bot or a script acts as a user. It is valid until it expires or is revoked. Users can also create tokens at /account/tokens.',
  options: {
    ...ADMIN_OPTIONS,
    name: { type: 'string', value: 'NAME', about: 'what the token is for; absent: the time of its creation' },
    scope: {
      type: 'string',
      value: 'SCOPE',
      about: `the rights, separated by blanks: ${PERSONAL_TOKEN_SCOPES.join(', ')}; absent: the first; the others are for administrators`,
    },
    ...EXPIRES_OPTION,
    device: {
      type: 'string',
      value: 'ID',
      about: 'the device of a bot that encrypts: a new one, or that of an older personal token, which ends',
    },
  },
  examples: [
    ['token create weatherbot --name "Weather bot"', 'for a bot without encryption'],
    ['token create backup --expires 90d --json --config hearth.yaml', 'in a script'],
  ],
  async run({ config: configFile, name, scope, expires, device, json }, username) {
    const config = loadConfig({ configFile })
    const wanted = {
      ...{ name: name ?? new Date().toISOString(), scope, device_id: device },
      lifetime_ms: parseExpires(expires),
    }
    const userId = await askAccount(config, username, 'token create')
    const token = await withAdminApi(config, ({ request }) => request<NewPersonalToken>('POST', pathOf(userId), wanted))
    print(token, { json, describe: describeNew })
    return 0
  },
})

export const listTokens = defineCommand({
  argument: '[USERNAME]',
  about: 'Lists the personal tokens of a user, without their secrets.',
  options: ADMIN_OPTIONS,
  examples: [['token list weatherbot', 'find the token to revoke']],
  async run({ config: configFile, json }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'token list')
    const { tokens } = await withAdminApi(config, ({ request }) =>
      request<{ tokens: PersonalToken[] }>('GET', pathOf(userId)),
    )
    print(tokens, { json, describe: () => describeList(userId, tokens) })
    return 0
  },
})

export const revokeTokenCommand = defineAct({
  command: 'token revoke',
  about: 'Revokes a personal token, and deletes its device if it has one. hearth token list shows the IDs.',
  argument: 'TOKEN_ID',
  example: '8ZkWqTn3bV5x',
  purpose: 'when a bot is retired, or its token has leaked',
  async perform({ request }, id) {
    const answer = await request('DELETE', hearthV1(`/personal_tokens/${encodeURIComponent(id)}`))
    return { answer, done: `The token ${id} is revoked.` }
  },
})

function pathOf(userId: string): string {
  return hearthV1(`/users/${encodeURIComponent(userId)}/personal_tokens`)
}

function describeNew({ access_token, token_id, user_id, device_id, scope, expires_ts }: NewPersonalToken): string {
  const expiry = expires_ts === null ? 'without an end' : `until ${new Date(expires_ts).toISOString()}`
  const device = device_id === null ? '' : ` Its device is ${device_id}.`
  return `${access_token}

This token acts as ${user_id} (${scope}), ${expiry}.${device}
It is shown only this once: keep it now. To revoke it: hearth token revoke ${token_id}`
}

function describeList(userId: string, tokens: readonly PersonalToken[]): string {
  if (tokens.length === 0) return `${userId} has no personal tokens.`
  const rows = tokens.map(({ token_id, name, created_ts, last_used_ts, expires_ts, device_id, scope }) => [
    ...[token_id, name, time(created_ts), time(last_used_ts), time(expires_ts), device_id, scope],
  ])
  return columns(['ID', 'name', 'created', 'last used', 'expires', 'device', 'scope'], rows)
}
