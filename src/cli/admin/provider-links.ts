import { v2 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import type { UserId } from '../../core/ids.ts'
import { askAccount } from '../ask-account.ts'
import { CommandError, defineCommand, UsageError } from '../command.ts'
import { ADMIN_OPTIONS } from './act.ts'
import { type AdminApi, withAdminApi } from './admin-api.ts'
import { columns, print } from './print.ts'

const LINK_OPTIONS = {
  ...ADMIN_OPTIONS,
  provider: { type: 'string', value: 'ID', about: 'the provider: its id in identity_providers' },
  subject: {
    type: 'string',
    value: 'SUBJECT',
    about: "the provider's permanent name of the person: sub in OpenID Connect, the user in CAS",
  },
} as const

/** The account of a person at an identity provider, in the form of Synapse's admin API. */
type Link = { auth_provider: string; external_id: string }
type Values = { config?: string; json?: boolean; provider?: string; subject?: string }

export const linkProviderCommand = defineCommand({
  argument: '[USERNAME]',
  about: 'Links the account of a person at an identity provider to a user, who can then sign in there.',
  options: LINK_OPTIONS,
  examples: [
    ['user link-provider alice --provider company --subject 248289761001', 'for a user who had an account before'],
  ],
  run: (values, username) =>
    change(values, { username, command: 'link-provider', done: 'can sign in' }, (links, link) => [
      ...links.filter((other) => !isSame(other, link)),
      link,
    ]),
})

export const unlinkProviderCommand = defineCommand({
  argument: '[USERNAME]',
  about: 'Ends that an account at an identity provider signs a user in, even if it is the only way. Sessions stay.',
  options: LINK_OPTIONS,
  examples: [
    ['user unlink-provider alice --provider company --subject 248289761001', 'after a change of the provider'],
  ],
  run: (values, username) =>
    change(values, { username, command: 'unlink-provider', done: 'can no longer sign in' }, (links, link) => {
      if (!links.some((other) => isSame(other, link))) throw new CommandError('This account is not linked.')
      return links.filter((other) => !isSame(other, link))
    }),
})

export const listProvidersCommand = defineCommand({
  argument: '[USERNAME]',
  about: 'Lists the accounts at identity providers with which a user can sign in.',
  options: ADMIN_OPTIONS,
  examples: [['user list-providers alice', 'find the link to remove']],
  async run({ config: configFile, json }, username) {
    const config = loadConfig({ configFile })
    const userId = await askAccount(config, username, 'user list-providers')
    const links = await withAdminApi(config, (api) => linksOf(api, userId))
    print(links, { json, describe: () => describeLinks(userId, links) })
    return 0
  },
})

async function change(
  { config: configFile, json, provider, subject }: Values,
  { username, command, done }: { username: string | undefined; command: string; done: string },
  changed: (links: readonly Link[], link: Link) => Link[],
): Promise<number> {
  if (!provider || !subject) throw new UsageError('--provider and --subject are needed')
  const config = loadConfig({ configFile })
  const userId = await askAccount(config, username, `user ${command}`)
  const link = { auth_provider: provider, external_id: subject }
  const answer = await withAdminApi(config, async (api) => {
    const external_ids = changed(await linksOf(api, userId), link)
    return api.request('PUT', pathOf(userId), { external_ids })
  })
  print(answer, { json, describe: () => `${userId} ${done} at ${provider} as ${subject}.` })
  return 0
}

async function linksOf({ request }: AdminApi, userId: UserId): Promise<Link[]> {
  return (await request<{ external_ids: Link[] }>('GET', pathOf(userId))).external_ids
}

function pathOf(userId: UserId): string {
  return v2(`/users/${encodeURIComponent(userId)}`)
}

function isSame(one: Link, other: Link): boolean {
  return one.auth_provider === other.auth_provider && one.external_id === other.external_id
}

function describeLinks(userId: UserId, links: readonly Link[]): string {
  if (links.length === 0) return `${userId} has no accounts at identity providers.`
  const rows = links.map(({ auth_provider, external_id }) => [auth_provider, external_id])
  return columns(['provider', 'subject'], rows)
}
