import { randomBytes } from 'node:crypto'
import type { Client, Entry } from 'ldapts'
import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import { escapeForLdap } from '../../core/text/ldap-escape.ts'
import type { Trust } from '../http/trusted-connections.ts'
import type { Logger } from '../logger.ts'
import { resultCodeOf } from './ldap-connection.ts'
import { createLdapConnections } from './ldap-connections.ts'

/** A user of the directory. */
export type DirectoryUser = {
  localpart: string
  displayName: string | undefined
  email: string | undefined
  /** Whether the user may get a new account. */
  mayRegister: boolean
}

export type DirectoryAttempt = {
  name: string
  /** Undefined: takes as long, but tries no password. */
  password: string | undefined
  /**
   * Counts the attempt at an entry: several names may find one. Called with the distinguished name, or the name if
   * there is no entry.
   */
  admit(entry: string): Promise<void>
}

/** The LDAP directory that checks passwords. */
export type Directory = {
  /**
   * Returns the user that a name and a password belong to; undefined if there is none, or the password is wrong or
   * empty. Throws DirectoryUnavailable, and what `admit` throws.
   */
  authenticate(attempt: DirectoryAttempt): Promise<DirectoryUser | undefined>
  close(): void
}

/** The directory does not answer, or refuses Hearth's own requests. */
export class DirectoryUnavailable extends Error {
  constructor(cause: unknown) {
    super('the LDAP directory is unavailable', { cause })
    this.name = 'DirectoryUnavailable'
  }
}

type Context = { config: Config['ldap']; logger: Logger }
/** An entry whose password is to be checked; `entry` undefined: the user has to sign in to read it. */
type Candidate = { dn: string; entry?: Entry }

/**
 * Results of a bind that refuse the user: a missing entry, a malformed name, an entry without a password, a wrong
 * password, a locked account. https://www.rfc-editor.org/rfc/rfc4511#appendix-A
 */
const REFUSALS: readonly number[] = [32, 34, 48, 49, 53]

/** Creates the configured directory; undefined if none is, and then the LDAP library is not loaded. */
export async function createDirectory(
  config: Config['ldap'],
  { trust, logger }: { trust: Trust; logger: Logger },
): Promise<Directory | undefined> {
  const { url } = config
  if (url === undefined) return undefined
  const connections = await createLdapConnections({ ...config, url }, trust)
  return {
    authenticate: (attempt) =>
      connections
        .run((client) => checkPasswordOf(client, { config, logger }, attempt))
        .catch((error) => {
          if (error instanceof MatrixError) throw error
          logger.error({ err: error }, 'request to the LDAP directory failed')
          throw new DirectoryUnavailable(error)
        }),
    close: () => connections.close(),
  }
}

/** Sends as many requests whether or not there is such a user, so that the time does not reveal it. */
async function checkPasswordOf(
  client: Client,
  context: Context,
  { name, password, admit }: DirectoryAttempt,
): Promise<DirectoryUser | undefined> {
  const candidate = await findCandidate(client, context, name)
  await admit(candidate?.dn ?? name)
  // A bind with an empty password is an anonymous one, and succeeds.
  if (!candidate || !password) {
    await binds(client, nobodysDn(context), 'none')
    return undefined
  }
  if (!(await binds(client, candidate.dn, password))) return undefined
  return describe(client, context, { candidate, name })
}

/** Returns whether the directory accepts a name and a password. */
async function binds(client: Client, dn: string, password: string): Promise<boolean> {
  try {
    await client.bind(dn, password)
    return true
  } catch (error) {
    if (REFUSALS.includes(resultCodeOf(error) ?? Number.NaN)) return false
    throw error
  }
}

async function findCandidate(client: Client, context: Context, name: string): Promise<Candidate | undefined> {
  const { user_dn, base = '', filter } = context.config
  if (user_dn !== undefined) return { dn: fill(user_dn, name) }
  const entries = await search(client, context, { base, scope: 'sub', filter: fill(filter, name) })
  if (entries.length > 1) context.logger.warn({ name }, 'ldap.filter matches several entries, sign-in refused')
  const [entry] = entries
  return entries.length === 1 ? { dn: entry!.dn, entry: entry! } : undefined
}

function nobodysDn({ config: { user_dn, base = '' } }: Context): string {
  const nobody = randomBytes(12).toString('hex')
  return user_dn === undefined ? `cn=${nobody},${base}` : fill(user_dn, nobody)
}

function fill(template: string, name: string): string {
  return template.replaceAll('{localpart}', () => escapeForLdap(name))
}

/** Searches as Hearth's own entry, or as the user if users read their own entries. */
async function search(
  client: Client,
  { config }: Context,
  { base, ...options }: { base: string; scope: 'base' | 'sub'; filter: string },
): Promise<Entry[]> {
  const { bind_dn = '', bind_password = '', attributes, user_dn } = config
  if (user_dn === undefined) await client.bind(bind_dn, bind_password)
  const found = await client.search(base, { ...options, attributes: Object.values(attributes), sizeLimit: 2 })
  return found.searchEntries
}

/** Returns the user of an entry whose password was right. */
async function describe(
  client: Client,
  context: Context,
  { candidate: { dn, entry: known }, name }: { candidate: Candidate; name: string },
): Promise<DirectoryUser | undefined> {
  const { config, logger } = context
  const read = async (filter: string) => (await search(client, context, { base: dn, scope: 'base', filter }))[0]
  const entry = known ?? (await read('(objectClass=*)'))
  const localpart = entry && pickLocalpart(valuesOf(entry, config.attributes.localpart), name)
  if (!entry || localpart === undefined) {
    logger.warn({ dn }, 'LDAP entry has no readable attribute, or several, for ldap.attributes.localpart')
    return undefined
  }
  const { new_accounts, new_accounts_filter: needed } = config
  return {
    localpart,
    displayName: valuesOf(entry, config.attributes.display_name)[0],
    email: valuesOf(entry, config.attributes.email)[0],
    mayRegister: new_accounts && (needed === undefined || (await read(needed)) !== undefined),
  }
}

/** Of several values, the one that the user has typed: their order has no meaning. */
function pickLocalpart(values: readonly string[], name: string): string | undefined {
  const typed = values.find((value) => value.toLowerCase() === name.toLowerCase())
  return typed ?? (values.length === 1 ? values[0] : undefined)
}

/** Returns the values of an attribute, which the directory may spell with other capitals. */
function valuesOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((name) => name.toLowerCase() === attribute.toLowerCase())
  const values = key === undefined ? [] : [entry[key]!].flat()
  return values.map(String).filter((value) => value !== '')
}
