import type { App } from '../../app.ts'
import { InvalidParamError, MatrixError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UpstreamLinkRow } from '../../storage/schema/upstream.ts'
import {
  deleteUpstreamLink,
  findLinkedUser,
  insertUpstreamLink,
  loadUpstreamLinks,
  type UpstreamAccount,
} from '../../storage/sign-in/upstream-links.ts'
import { countSecondFactors } from '../../storage/users/second-factors.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { isUpstreamName } from './upstream-person.ts'

/** An account at a provider that signs a user in. `name`: the provider's; undefined: it is not configured any more. */
export type LinkedProvider = UpstreamAccount & { name: string | undefined; label: string; linkedTs: number }

/** Returns the accounts at providers that sign a user in, the oldest link first. */
export async function listLinkedProviders(
  app: Pick<App, 'database' | 'identityProviders'>,
  userId: UserId,
): Promise<LinkedProvider[]> {
  const links = await loadUpstreamLinks(app.database, userId)
  return links.map((link) => ({
    providerId: link.provider_id,
    subject: link.subject,
    name: app.identityProviders.get(link.provider_id)?.config.name,
    label: link.label,
    linkedTs: link.linked_ts,
  }))
}

/**
 * Ends that an account at a provider signs a user in. Throws M_NOT_FOUND, and M_LAST_SIGN_IN if the user could not sign
 * in any more, unless an administrator does it.
 */
export async function unlinkProvider(
  app: Pick<App, 'config' | 'database' | 'identityProviders'>,
  { byAdmin = false, ...link }: UpstreamAccount & { userId: UserId; byAdmin?: boolean },
): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, link.userId)
    if (!(await deleteUpstreamLink(tx, link))) throw new NotFoundError('This account is not linked')
    if (byAdmin || (await canSignIn(app, tx, link.userId))) return
    const hint = 'This is your only way to sign in. Set a password or link another account first'
    throw new MatrixError(403, 'M_LAST_SIGN_IN', hint)
  })
}

/**
 * Links an account at a provider for an administrator, and returns the link. `label`: by which the person recognises
 * that account. Throws M_NOT_FOUND, M_LINKED_ELSEWHERE, and M_INVALID_PARAM for a subject that no provider can have.
 */
export async function linkProvider(
  app: Pick<App, 'database' | 'clock' | 'identityProviders'>,
  { userId, providerId, subject, label = subject }: UpstreamAccount & { userId: UserId; label?: string | undefined },
): Promise<UpstreamLinkRow> {
  if (!app.identityProviders.has(providerId)) throw new NotFoundError('There is no identity provider with this ID')
  if (!isUpstreamName(subject))
    throw new InvalidParamError('The subject is empty, longer than 1,024 bytes, or has a NUL character')
  return app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findUser(tx, userId)
    if (!user || user.is_guest || user.deactivated_ts !== null) throw new NotFoundError('There is no such user')
    const links = await loadUpstreamLinks(tx, userId)
    const known = links.find((link) => isLinkOf(link, { providerId, subject }))
    if (known) return known
    const link = { provider_id: providerId, subject, user_id: userId, label, linked_ts: app.clock.now() }
    const owner = await findLinkedUser(tx, { providerId, subject })
    if (owner !== undefined || !(await insertUpstreamLink(tx, link))) throw linkedElsewhere()
    return link
  })
}

/**
 * Links exactly these accounts at providers to a user, in the transaction of an administrator's change, which has locked
 * the user. Throws 409 for one that is linked to another user, and M_INVALID_PARAM for unknown providers, subjects that
 * no provider can have, and a new link of a deactivated user.
 */
export async function replaceLinks(
  app: Pick<App, 'clock' | 'identityProviders'>,
  tx: Tx,
  { userId, links }: { userId: UserId; links: readonly UpstreamAccount[] },
): Promise<void> {
  const linked = await loadUpstreamLinks(tx, userId)
  for (const link of linked) {
    if (links.some((account) => isLinkOf(link, account))) continue
    await deleteUpstreamLink(tx, { userId, providerId: link.provider_id, subject: link.subject })
  }
  const added = links.filter((account) => !linked.some((link) => isLinkOf(link, account)))
  if (added.length > 0 && (await findUser(tx, userId))?.deactivated_ts !== null)
    throw new InvalidParamError('Deactivated users get no external_ids. Reactivate the account first.')
  for (const { providerId, subject } of added) {
    if (!app.identityProviders.has(providerId) || !isUpstreamName(subject))
      throw new InvalidParamError(`external_ids: there is no identity provider ${providerId}, or no such subject`)
    const link = { provider_id: providerId, subject, user_id: userId, label: subject, linked_ts: app.clock.now() }
    const owner = await findLinkedUser(tx, { providerId, subject })
    if (owner === userId) continue
    if (owner !== undefined || !(await insertUpstreamLink(tx, link)))
      throw new MatrixError(409, 'M_UNKNOWN', 'external_ids: this account of the provider belongs to another user')
  }
}

function isLinkOf(link: UpstreamLinkRow, { providerId, subject }: UpstreamAccount): boolean {
  return link.provider_id === providerId && link.subject === subject
}

/** Returns the error for an account at a provider that signs in another user. */
export function linkedElsewhere(): MatrixError {
  return new MatrixError(403, 'M_LINKED_ELSEWHERE', 'This account of the provider belongs to another user')
}

/** Whether a user has a way to sign in: a password, a passkey, or a provider of the configuration. */
async function canSignIn(
  { config, identityProviders }: Pick<App, 'config' | 'identityProviders'>,
  tx: Tx,
  userId: UserId,
): Promise<boolean> {
  const user = await findUser(tx, userId)
  const { passkeys } = await countSecondFactors(tx, userId)
  const hasPassword = config.sign_in.passwords !== 'disabled' && (user?.password_hash != null || user?.in_directory)
  if (hasPassword || passkeys > 0) return true
  return (await loadUpstreamLinks(tx, userId)).some(({ provider_id }) => identityProviders.has(provider_id))
}
