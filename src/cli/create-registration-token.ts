import { duration } from '../config/units.ts'
import { loadConfig } from '../config.ts'
import { createRegistrationToken } from '../services/users/registration/registration-token-validity.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from './command.ts'
import { explainDataFolderLock, withApp } from './open-configured.ts'

export const createRegistrationTokenCommand = defineCommand({
  argument: '[TOKEN]',
  about:
    'Creates a registration token, with which visitors register where registration.requires_token is true. It prints the token and the address of the registration page with it. A server on the embedded database must be stopped first.',
  options: {
    ...CONFIG_OPTION,
    uses: { type: 'string', value: 'NUMBER', about: 'how many accounts it is good for; absent: any number' },
    expires: { type: 'string', value: 'TIME', about: 'how long it is valid, such as 7d; absent: without an end' },
  },
  examples: [
    ['create-registration-token --uses 1 --expires 7d', 'an invitation for one person'],
    ['create-registration-token summer-school --config hearth.yaml', 'a token that people can remember'],
  ],
  async run({ config: configFile, uses, expires }, token) {
    const config = loadConfig({ configFile })
    const limits = { usesAllowed: parseUses(uses), lifetimeMs: parseValidity(expires) }
    const created = await withApp(config, (app) => createRegistrationToken(app, { token, ...limits })).catch(
      explainDataFolderLock,
    )
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

function parseValidity(text: string | undefined): number | null {
  if (text === undefined) return null
  const parsed = duration.safeParse(text)
  if (parsed.success && parsed.data > 0) return parsed.data
  throw new UsageError(`--expires: expected a time such as 12h, 7d or 4w, not ${text}`)
}
