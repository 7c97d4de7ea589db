import type { App } from '../../app.ts'
import { localpartOf } from '../../core/ids.ts'
import { parseEmailAddress } from '../../core/text/email-address.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findThreepidUser, type Threepid } from '../../storage/users/threepids.ts'
import { findUser } from '../../storage/users/users.ts'
import { localUserId } from './user-names.ts'

/** A client's identifier of an account: https://spec.matrix.org/v1.19/client-server-api/#identifier-types */
export type AccountIdentifier = { user: string } | { medium: string; address: string }

/**
 * `user` undefined: there is no such account. `countedAs`: the rate-limit key of attempts at it, of the same form
 * whether or not there is one. `name`: the account's localpart, or what the client has sent in its place; undefined if
 * it can name no account.
 */
export type NamedAccount = { user: UserRow | undefined; countedAs: string | undefined; name: string | undefined }

/** Finds the account that an identifier names. All identifiers of one account have one rate-limit key. */
export async function findAccount(
  app: Pick<App, 'database' | 'serverName'>,
  identifier: AccountIdentifier,
): Promise<NamedAccount> {
  if ('user' in identifier) return findByName(app, identifier.user)
  const { medium } = identifier
  const address = medium === 'msisdn' ? parseMsisdn(identifier.address) : parseEmailAddress(identifier.address)
  const isKnown = (medium === 'email' || medium === 'msisdn') && address !== undefined
  return isKnown ? findByAddress(app, { medium, address }) : { user: undefined, countedAs: undefined, name: undefined }
}

/** Returns a phone number in its canonical form, without + and spaces; undefined if it is none. */
export function parseMsisdn(text: string): string | undefined {
  const digits = text.replace(/[\s+()./-]/g, '')
  return /^[1-9]\d{4,14}$/.test(digits) ? digits : undefined
}

/** Localparts of historical accounts may have capitals: an exact match takes precedence over the lower-case name. */
async function findByName(app: Pick<App, 'database' | 'serverName'>, name: string): Promise<NamedAccount> {
  const exact = localUserId(app, name)
  const lower = localUserId(app, name.toLowerCase())
  const found = exact && (await findUser(app.database, exact))
  const user = found ?? (lower && lower !== exact ? await findUser(app.database, lower) : undefined)
  const named = user?.user_id ?? lower
  return { user, countedAs: named, name: named && localpartOf(named) }
}

async function findByAddress(app: Pick<App, 'database'>, threepid: Threepid): Promise<NamedAccount> {
  const user = await findThreepidUser(app.database, threepid)
  const { address } = threepid
  return { user, countedAs: user?.user_id ?? address, name: user ? localpartOf(user.user_id) : address }
}
