import { serverNameOf, type UserId } from './ids.ts'

/** A namespace of ids of an application service. `exclusive`: only the application service may create them. */
export type Namespace = { regex: RegExp; exclusive: boolean }

export type NamespaceKind = 'users' | 'aliases' | 'rooms'

/**
 * An application service: a program that acts for many users of this server, such as a bridge.
 * https://spec.matrix.org/v1.19/application-service-api/#registration
 */
export type Appservice = {
  readonly id: string
  /** Its URL, without a trailing slash; null: Hearth sends it nothing. */
  readonly url: string | null
  /** Authenticates its requests to this server. */
  readonly asToken: string
  /** Authenticates requests of this server to it. */
  readonly hsToken: string
  /** The user that it acts as by default. */
  readonly sender: UserId
  readonly namespaces: Readonly<Record<NamespaceKind, readonly Namespace[]>>
  readonly isRateLimited: boolean
  /** The third-party protocols that it bridges. */
  readonly protocols: readonly string[]
  /**
   * The keys of a transaction under which it expects typing, receipts and presence; none: it receives no ephemeral
   * events.
   */
  readonly ephemeralKeys: readonly string[]
  /**
   * Whether it receives to-device messages of its users. https://github.com/matrix-org/matrix-spec-proposals/pull/4203
   */
  readonly receivesToDevice: boolean
  /**
   * Whether to-device messages that it received are deleted and not kept for /sync, because it handles encryption in
   * transactions.
   */
  readonly acknowledgesToDevice: boolean
  /**
   * Whether it receives device list changes and key counts:
   * https://github.com/matrix-org/matrix-spec-proposals/pull/3202
   */
  readonly receivesDeviceLists: boolean
}

/** Whether an id is in one of the namespaces, whose expressions match at the start of ids, as in other servers. */
export function isInNamespace(appservice: Appservice, kind: NamespaceKind, id: string): boolean {
  return appservice.namespaces[kind].some(({ regex }) => regex.test(id))
}

/**
 * Whether an application service may act as a user and receives the user's events: users of this server in its
 * namespace, and its sender.
 */
export function hasUser(appservice: Appservice, userId: string): boolean {
  const { sender } = appservice
  return (
    userId === sender || (userId.endsWith(`:${serverNameOf(sender)}`) && isInNamespace(appservice, 'users', userId))
  )
}

/**
 * Whether an id is reserved for application services. `own`: the one that requests the id; the exclusive namespaces of
 * others still apply.
 */
export function isReserved(
  appservices: readonly Appservice[],
  kind: NamespaceKind,
  id: string,
  own?: Appservice | undefined,
): boolean {
  return appservices.some((appservice) => appservice !== own && hasExclusively(appservice, kind, id))
}

/** Whether an id is exclusive to this application service. */
export function hasExclusively(appservice: Appservice, kind: NamespaceKind, id: string): boolean {
  if (kind === 'users' && id === appservice.sender) return true
  return appservice.namespaces[kind].some(({ regex, exclusive }) => exclusive && regex.test(id))
}
