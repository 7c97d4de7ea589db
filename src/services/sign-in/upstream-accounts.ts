import type { App } from '../../app.ts'
import type { ProviderConfig } from '../../config.ts'
import { isReserved } from '../../core/appservice.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { parseEmailAddress } from '../../core/text/email-address.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { insertUpstreamLink } from '../../storage/sign-in/upstream-links.ts'
import { findThreepidOwner } from '../../storage/users/threepids.ts'
import { findUser } from '../../storage/users/users.ts'
import { checkRegistration } from '../users/check-for-spam.ts'
import { createUser } from '../users/create-user.ts'
import { fittingDisplayname } from '../users/profile.ts'
import { noteAcceptedTerms } from '../users/registration/registration-flows.ts'
import { requireChoosable } from '../users/reserved-names.ts'
import { requireAvailable, userIdForNewName } from '../users/user-names.ts'
import { linkedElsewhere } from './upstream-links.ts'
import type { UpstreamPerson } from './upstream-person.ts'

/**
 * The account for a person who is not linked to one yet.
 * - `link`: it exists, and is linked at once.
 * - `conflict`: accounts with the name or address exist. `mayLink`: whoever signs in to one links it.
 * - `create`: it is made at once, with this name.
 * - `choose`: it is made after the person has chosen the name or accepted the terms.
 * - `closed`: new people get no account.
 * - `nameless`: the provider gives no name that an account can have.
 */
export type AccountPlan =
  | { kind: 'link'; userId: UserId }
  | { kind: 'conflict'; userIds: UserId[]; mayLink: boolean; mayRegister: boolean }
  | { kind: 'create'; localpart: string }
  | { kind: 'choose'; suggestion: string }
  | { kind: 'closed' }
  | { kind: 'nameless' }

type Capabilities = Pick<App, 'config' | 'serverName' | 'database'>

/** Decides on the account for a person, by the rules of the provider. */
export async function planAccount(
  app: Capabilities,
  config: ProviderConfig,
  person: UpstreamPerson,
): Promise<AccountPlan> {
  const userIds = await findConflicts(app, person)
  const { on_conflict: rule, may_register: mayRegister, choose_name: mayChoose } = config
  if (userIds.length === 1 && rule === 'link') return { kind: 'link', userId: userIds[0]! }
  if (userIds.length > 0) {
    // The name that the provider gives is taken, so only a chosen one is left.
    return { kind: 'conflict', userIds, mayLink: rule === 'ask_password', mayRegister: mayRegister && mayChoose }
  }
  if (!mayRegister) return { kind: 'closed' }
  const localpart = await usableName(app, person)
  if (localpart === undefined && !mayChoose) return { kind: 'nameless' }
  if (localpart !== undefined && !mayChoose && app.config.registration.terms.length === 0)
    return { kind: 'create', localpart }
  return { kind: 'choose', suggestion: localpart ?? (person.localpart ?? '').replace(/[^a-z0-9._=\-/+]/g, '') }
}

/** Returns the accounts of people that have the name or the confirmed address. */
async function findConflicts(app: Capabilities, { localpart, email }: UpstreamPerson): Promise<UserId[]> {
  const named = localpart === undefined ? undefined : nameOf(app, localpart)
  const address = email === undefined ? undefined : parseEmailAddress(email)
  const owner = address && (await findThreepidOwner(app.database, { medium: 'email', address }))
  const found = [...new Set([owner, named])].filter((userId) => userId !== undefined)
  const users = await Promise.all(found.map((userId) => findUser(app.database, userId)))
  return users.flatMap((user) => {
    const isPerson = user && user.deactivated_ts === null && !user.is_guest
    return isPerson && !isSpecial(app, user.user_id) ? [user.user_id] : []
  })
}

/** Whether a name is that of an application service or of server notices. */
function isSpecial({ config, serverName }: Pick<App, 'config' | 'serverName'>, userId: UserId): boolean {
  const { localpart } = config.server_notices
  return (
    isReserved(config.appservices, 'users', userId) ||
    config.appservices.some(({ sender }) => sender === userId) ||
    (localpart !== undefined && userId === `@${localpart}:${serverName}`)
  )
}

function nameOf(app: Pick<App, 'serverName'>, localpart: string): UserId | undefined {
  try {
    return userIdForNewName(app, localpart)
  } catch (error) {
    if (error instanceof MatrixError) return undefined
    throw error
  }
}

async function usableName(app: Capabilities, { localpart }: UpstreamPerson): Promise<string | undefined> {
  try {
    return localpart === undefined ? undefined : await requireUsableName(app, localpart)
  } catch (error) {
    if (error instanceof MatrixError) return undefined
    throw error
  }
}

/** Returns a chosen name in lower case. Throws M_INVALID_USERNAME, M_USER_IN_USE and M_EXCLUSIVE. */
export async function requireUsableName(app: Capabilities, name: string): Promise<string> {
  const userId = userIdForNewName(app, name)
  requireChoosable(app, userId)
  await requireAvailable(app, userId)
  return name.toLowerCase()
}

/** Creates an account that a person signs in to; `alsoWrite` runs in the same transaction. Throws as createUser. */
export async function createLinkedAccount(
  app: Capabilities & Pick<App, 'clock' | 'passwordHasher' | 'spamChecks'>,
  config: ProviderConfig,
  { person, localpart, hasAcceptedTerms, alsoWrite }: NewLinkedAccount,
): Promise<UserId> {
  const displayName = person.displayName && fittingDisplayname(person.displayName)
  const email = person.email && parseEmailAddress(person.email)
  const isFree = email && (await findThreepidOwner(app.database, { medium: 'email', address: email })) === undefined
  await checkRegistration(app, { localpart, email: isFree ? email : undefined, provider: config.id })
  return createUser(app, { localpart, displayName, email: isFree ? email : undefined }, async (tx, userId) => {
    await alsoWrite?.(tx)
    await linkPerson(app, tx, { config, person, userId })
    if (hasAcceptedTerms) await noteAcceptedTerms(app, tx, { userId, completed: { 'm.login.terms': 'true' } })
  })
}

type NewLinkedAccount = {
  person: UpstreamPerson
  localpart: string
  hasAcceptedTerms: boolean
  alsoWrite?: (tx: Tx) => Promise<void>
}

/** Links a person to an account. Throws M_FORBIDDEN if they are linked to another. */
export async function linkPerson(
  app: Pick<App, 'clock'>,
  tx: Tx,
  { config, person, userId }: { config: ProviderConfig; person: UpstreamPerson; userId: UserId },
): Promise<void> {
  const link = {
    provider_id: config.id,
    subject: person.subject,
    user_id: userId,
    label: person.label,
    linked_ts: app.clock.now(),
  }
  if (!(await insertUpstreamLink(tx, link))) throw linkedElsewhere()
}
