import { loadConfig } from '../config.ts'
import { createRegistrationToken } from '../services/users/registration/registration-token-validity.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from './command.ts'
import { EXPIRES_OPTION, parseExpires } from './expires-option.ts'
import { explainDataFolderLock, withAuditedApp } from './open-configured.ts'

export const createRegistrationTokenCommand = defineCommand({
  argument: '[TOKEN]',
  about:
    'Creates a registration token, with which visitors register where registration.requires_token is true. It prints the token and the address of the registration page with it. A server on the embedded database must be stopped first.',
  options: {
    ...CONFIG_OPTION,
    uses: { type: 'string', value: 'NUMBER', about: 'how many accounts it is good for; absent: any number' },
    ...EXPIRES_OPTION,
  },
  examples: [
    ['registration-token create --uses 1 --expires 7d', 'an invitation for one person'],
    ['registration-token create summer-school --config hearth.yaml', 'a token that people can remember'],
  ],
  async run({ config: configFile, uses, expires }, token) {
    const config = loadConfig({ configFile })
    const usesAllowed = parseUses(uses)
    const lifetime = parseExpires(expires) ?? null
    const { token: created } = await withAuditedApp(
      config,
      { command: 'registration-token create', target: token ?? null, details: { usesAllowed, lifetimeMs: lifetime } },
      (app) => createRegistrationToken(app, { token, usesAllowed, expiresTs: lifetime && app.clock.now() + lifetime }),
    ).catch(explainDataFolderLock)
    if (!config.registration.enabled || !config.registration.requires_token)
      console.error('Set registration.enabled and registration.requires_token: nobody needs this token otherwise.')
    console.log(`${created}\n${config.public_base_url}/register?token=${encodeURIComponent(created)}`)
    return 0
  },
})

function parseUses(text: string | undefined): number | null {
  if (text === undefined) return null
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`--uses: expected a number such as 1, not ${text}`)
}
