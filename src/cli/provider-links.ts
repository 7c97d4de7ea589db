import { loadConfig } from '../config.ts'
import type { UserId } from '../core/ids.ts'
import { linkProvider, listLinkedProviders, unlinkProvider } from '../services/sign-in/upstream-links.ts'
import { askAccount } from './ask-account.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from './command.ts'
import { explainDataFolderLock, withApp, withAuditedApp } from './open-configured.ts'

const LINK_OPTIONS = {
  ...CONFIG_OPTION,
  provider: { type: 'string', value: 'ID', about: 'the provider: its id in identity_providers' },
  subject: {
    type: 'string',
    value: 'SUBJECT',
    about: "the provider's permanent name of the person: sub in OpenID Connect, the user in CAS",
  },
} as const

const STOPPED = 'A server on the embedded database must be stopped first.'

type Link = { userId: UserId; providerId: string; subject: string }
type Values = { config?: string; provider?: string; subject?: string }

/** Links the account of a person at an identity provider to a user. */
export const linkProviderCommand = defineCommand({
  argument: '[USERNAME]',
  about: `Links the account of a person at an identity provider to a user, who can then sign in there. ${STOPPED}`,
  options: LINK_OPTIONS,
  examples: [
    ['user link-provider alice --provider company --subject 248289761001', 'for a user who had an account before'],
  ],
  async run(values, username) {
    const link = await change(values, { username, command: 'user link-provider' }, linkProvider)
    console.log(`${link.userId} can sign in at ${link.providerId} as ${link.subject}.`)
    return 0
  },
})

/** Ends that the account of a person at an identity provider signs a user in. */
export const unlinkProviderCommand = defineCommand({
  argument: '[USERNAME]',
  about: `Ends that an account at an identity provider signs a user in, even if it is the only way. Sessions stay. ${STOPPED}`,
  options: LINK_OPTIONS,
  examples: [
    ['user unlink-provider alice --provider company --subject 248289761001', 'after a change of the provider'],
  ],
  async run(values, username) {
    const link = await change(values, { username, command: 'user unlink-provider' }, (app, found) =>
      unlinkProvider(app, { ...found, byAdmin: true }),
    )
    console.log(`${link.userId} can no longer sign in at ${link.providerId} as ${link.subject}.`)
    return 0
  },
})

/** Lists the accounts at identity providers that sign a user in. */
export const listProvidersCommand = defineCommand({
  argument: '[USERNAME]',
  about: `Lists the accounts at identity providers with which a user can sign in. ${STOPPED}`,
  options: { ...CONFIG_OPTION, json: { type: 'boolean', about: 'print a JSON list' } },
  examples: [['user list-providers alice', 'find the link to remove']],
  async run({ config: configFile, json }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'user list-providers')
    const links = await withApp(config, (app) => listLinkedProviders(app, userId)).catch(explainDataFolderLock)
    if (json) console.log(JSON.stringify(links))
    else if (links.length === 0) console.log(`${userId} has no accounts at identity providers.`)
    else for (const { providerId, subject, label } of links) console.log(`${providerId}  ${subject}  ${label}`)
    return 0
  },
})

async function change(
  { config: configFile, provider: providerId, subject }: Values,
  { username, command }: { username: string | undefined; command: string },
  act: (app: Parameters<typeof linkProvider>[0] & Parameters<typeof unlinkProvider>[0], link: Link) => Promise<unknown>,
): Promise<Link> {
  if (!providerId || !subject) throw new UsageError('--provider and --subject are needed')
  const config = loadConfig({ configFile })
  const link = { userId: await askAccount(config, username, command), providerId, subject }
  const audited = { command, target: link.userId, details: { provider: providerId, subject } }
  await withAuditedApp(config, audited, (app) => act(app, link)).catch(explainDataFolderLock)
  return link
}
