import { v1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { defineCommand, UsageError } from '../command.ts'
import { EXPIRES_OPTION, parseExpires } from '../expires-option.ts'
import { ADMIN_OPTIONS, defineAct } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { columns, print, time } from './print.ts'

/** A registration token in the form of Synapse's admin API. */
type RegistrationToken = {
  token: string
  uses_allowed: number | null
  completed: number
  expiry_time: number | null
}

const PATH = v1('/registration_tokens')

export const createRegistrationTokenCommand = defineCommand({
  argument: '[TOKEN]',
  about:
    'Creates a registration token, with which visitors register where registration.requires_token is true. It prints the token and the address of the registration page with it.',
  options: {
    ...ADMIN_OPTIONS,
    uses: { type: 'string', value: 'NUMBER', about: 'how many accounts it is good for; absent: any number' },
    ...EXPIRES_OPTION,
  },
  examples: [
    ['registration-token create --uses 1 --expires 7d', 'an invitation for one person'],
    ['registration-token create summer-school --config hearth.yaml', 'a token that people can remember'],
  ],
  async run({ config: configFile, json, uses, expires }, token) {
    const config = loadConfig({ configFile })
    const lifetime = parseExpires(expires)
    const body = {
      ...{ token, uses_allowed: parseUses(uses) },
      expiry_time: lifetime === undefined ? null : Date.now() + lifetime,
    }
    const created = await withAdminApi(config, ({ request }) => request<RegistrationToken>('POST', `${PATH}/new`, body))
    if (!config.registration.enabled || !config.registration.requires_token)
      console.error('Set registration.enabled and registration.requires_token: nobody needs this token otherwise.')
    const page = `${config.public_base_url}/register?token=${encodeURIComponent(created.token)}`
    print(created, { json, describe: () => `${created.token}\n${page}` })
    return 0
  },
})

export const listRegistrationTokensCommand = defineCommand({
  about: 'Lists the registration tokens.',
  options: { ...ADMIN_OPTIONS, valid: { type: 'boolean', about: 'only those with which visitors can register now' } },
  examples: [['registration-token list --valid', 'invitations that are still open']],
  async run({ config: configFile, json, valid }) {
    const query = valid ? '?valid=true' : ''
    const { registration_tokens: tokens } = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<{ registration_tokens: RegistrationToken[] }>('GET', `${PATH}${query}`),
    )
    print(tokens, { json, describe: describeList })
    return 0
  },
})

export const deleteRegistrationTokenCommand = defineAct({
  command: 'registration-token delete',
  about: 'Deletes a registration token. Accounts that were registered with it stay.',
  argument: 'TOKEN',
  example: 'summer-school',
  purpose: 'when it is not needed any more',
  async perform({ request }, token) {
    const answer = await request('DELETE', `${PATH}/${encodeURIComponent(token)}`)
    return { answer, done: `The registration token ${token} is deleted.` }
  },
})

function parseUses(text: string | undefined): number | null {
  if (text === undefined) return null
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`--uses: expected a number such as 1, not ${text}`)
}

function describeList(tokens: readonly RegistrationToken[]): string {
  if (tokens.length === 0) return 'There are no registration tokens.'
  const rows = tokens.map(({ token, uses_allowed, completed, expiry_time }) => [
    ...[token, completed, uses_allowed ?? 'any number', time(expiry_time)],
  ])
  return columns(['token', 'accounts', 'allowed', 'expires'], rows)
}
