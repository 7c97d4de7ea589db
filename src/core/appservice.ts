import { serverNameOf, type UserId } from './ids.ts'

/** Ids that an application service has to do with. `exclusive`: nobody else may have them. */
export type Namespace = { regex: RegExp; exclusive: boolean }

export type NamespaceKind = 'users' | 'aliases' | 'rooms'

/** A program that acts for many users of this server, such as a bridge. https://spec.matrix.org/v1.19/application-service-api/#registration */
export type Appservice = {
  readonly id: string
  /** Where it listens, without a slash at the end; null: it is sent nothing. */
  readonly url: string | null
  /** By which it proves to be itself. */
  readonly asToken: string
  /** By which this server does. */
  readonly hsToken: string
  /** The user as whom it acts when it does not say as whom. */
  readonly sender: UserId
  readonly namespaces: Readonly<Record<NamespaceKind, readonly Namespace[]>>
  readonly isRateLimited: boolean
  /** Names of the networks that it leads to. */
  readonly protocols: readonly string[]
  /** The keys of a transaction where it looks for typing, receipts and presence; none: it wants to have none of these. */
  readonly ephemeralKeys: readonly string[]
  /** Whether it is sent messages to its users' devices. https://github.com/matrix-org/matrix-spec-proposals/pull/4203 */
  readonly receivesToDevice: boolean
  /** Whether messages that it was sent need not be kept for /sync, as it says that it deals with encryption in transactions. */
  readonly acknowledgesToDevice: boolean
  /** Whether it is told of devices and keys: https://github.com/matrix-org/matrix-spec-proposals/pull/3202 */
  readonly receivesDeviceLists: boolean
}

/** Whether an id is in one of the namespaces. They are for the beginning of ids, as everywhere. */
export function isInNamespace(appservice: Appservice, kind: NamespaceKind, id: string): boolean {
  return appservice.namespaces[kind].some(({ regex }) => regex.test(id))
}

/** Whether an application service may act as a user, and is told what happens to it: users of this server in its namespace, and its own. */
export function hasUser(appservice: Appservice, userId: string): boolean {
  const { sender } = appservice
  return (
    userId === sender || (userId.endsWith(`:${serverNameOf(sender)}`) && isInNamespace(appservice, 'users', userId))
  )
}

/** Whether an id is for application services alone; `own`: the one that wants it, which the others keep out all the same. */
export function isReserved(
  appservices: readonly Appservice[],
  kind: NamespaceKind,
  id: string,
  own?: Appservice | undefined,
): boolean {
  return appservices.some((appservice) => appservice !== own && hasExclusively(appservice, kind, id))
}

/** Whether nobody else may have an id: no person has this user, no other application service does. */
export function hasExclusively(appservice: Appservice, kind: NamespaceKind, id: string): boolean {
  if (kind === 'users' && id === appservice.sender) return true
  return appservice.namespaces[kind].some(({ regex, exclusive }) => exclusive && regex.test(id))
}
