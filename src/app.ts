import type { Config } from './config.ts'
import type { ServerName } from './core/ids.ts'
import type { Clock } from './infra/clock.ts'
import type { JobRunner } from './infra/concurrency/job-runner.ts'
import type { RateLimiter } from './infra/concurrency/rate-limiter.ts'
import type { SingleFlight } from './infra/concurrency/single-flight.ts'
import type { AskedLanes, Asker } from './infra/federation/asked-lanes.ts'
import type { FederationClient } from './infra/federation/federation-client.ts'
import type { KeyRing } from './infra/federation/key-ring.ts'
import type { SigningKeys } from './infra/federation/signing-keys.ts'
import type { AppserviceClient } from './infra/http/appservice-client.ts'
import type { IdentityClient } from './infra/http/identity-client.ts'
import type { OutgoingHttp } from './infra/http/outgoing-http.ts'
import type { FetchPage } from './infra/http/page-fetch.ts'
import type { SpamChecks } from './infra/http/spam-checks.ts'
import type { UnreadAnswers } from './infra/http/unread-answers.ts'
import type { Logger } from './infra/logger.ts'
import type { Mailer } from './infra/mail/mailer.ts'
import type { Metrics } from './infra/metrics.ts'
import type { Random } from './infra/random.ts'
import type { UpstreamProviders } from './infra/sign-in/upstream-providers.ts'
import type { StreamTail } from './infra/stream-tail.ts'
import type { Directory } from './infra/users/directory.ts'
import type { JwtVerifier } from './infra/users/jwt-verifier.ts'
import type { PasswordHasher } from './infra/users/password-hasher.ts'
import type { ThirdPartyProtocols } from './services/appservices/third-party-protocols.ts'
import type { Backfills } from './services/federation/inbound/backfills.ts'
import type { EarlyReceipts } from './services/federation/inbound/early-receipts.ts'
import type { Inbox } from './services/federation/inbound/inbox.ts'
import type { UnverifiedEvents } from './services/federation/inbound/unverified.ts'
import type { JoinRaces } from './services/federation/joining/join-race.ts'
import type { ServersAlive } from './services/federation/outbound/servers-alive.ts'
import type { TransactionTexts } from './services/federation/outbound/transaction-text.ts'
import type { RemoteSpaces } from './services/lookup/remote-spaces.ts'
import type { MediaStore } from './services/media/media-store.ts'
import type { DevicePresence } from './services/presence/device-presence.ts'
import type { PrepareEvents } from './services/push/prepare-events.ts'
import type { PushProfiles } from './services/push/push-profile.ts'
import type { UnreadRooms } from './services/push/unread-rooms-cache.ts'
import type { PolicyLists } from './services/rooms/access/policy-lists.ts'
import type { SpaceWalks } from './services/rooms/directory/space-walks.ts'
import type { ReadingTurns } from './services/rooms/reading/reading-turns.ts'
import type { ApprovedEvents } from './services/rooms/timeline/approved-events.ts'
import type { ClientTransactions } from './services/rooms/timeline/client-transactions.ts'
import type { FirstAnswers } from './services/sync/answers/first-answers.ts'
import type { SentMembersOfClients } from './services/sync/answers/sent-members.ts'
import type { InviteFilter } from './services/sync/sections/hidden-invites.ts'
import type { KeyCountsOf } from './services/sync/sections/key-counts.ts'
import type { DirectRooms } from './services/sync/sliding/direct-rooms.ts'
import type { SlidingAnswers } from './services/sync/sliding/store-answers.ts'
import type { ConnectedUsers } from './services/sync/waiting/connected-users.ts'
import type { WaitingRequests } from './services/sync/waiting/waiting-requests.ts'
import type { KnownAppservices } from './services/users/known-appservices.ts'
import type { Database } from './storage/engine/database.ts'
import type { TakeNids } from './storage/engine/nids.ts'
import type { RoomTransactions } from './storage/rooms/room-transactions.ts'

/** The resources that a process opens before it serves: configuration, database, and outgoing connections. */
export type Capabilities = {
  readonly config: Config
  readonly serverName: ServerName
  readonly database: Database
  readonly rooms: RoomTransactions
  readonly takeNids: TakeNids
  readonly stream: StreamTail
  readonly signingKeys: SigningKeys
  /** Signed requests to other servers. */
  readonly federation: FederationClient
  /** Lanes that limit concurrent requests to other servers, one for each user, server or network that causes them. */
  readonly lanes: AskedLanes
  readonly transfers: AskedLanes
  /** Lanes that limit the pages fetched concurrently for previews. */
  readonly pageLanes: AskedLanes
  /** Causes the requests of this app; absent: this server itself. */
  readonly asker?: Asker
  /** Requests to application services. */
  readonly appservices: AppserviceClient
  /** Requests to identity servers that clients name. */
  readonly identity: IdentityClient
  /** Where people sign in outside of Hearth. */
  readonly identityProviders: UpstreamProviders
  /** Requests to push gateways that clients name. */
  readonly http: OutgoingHttp
  /** Requests to services that the configuration names, such as a captcha provider. They may be private. */
  readonly configuredHttp: OutgoingHttp
  /** Fetches public pages that users name, for previews. */
  readonly fetchPage: FetchPage
  /** The keys that servers sign with. */
  readonly keyRing: KeyRing
  readonly passwordHasher: PasswordHasher
  /** Checks the passwords of its users; undefined when no LDAP directory is configured. */
  readonly directory: Directory | undefined
  /** Verifies the JSON Web Tokens with which users sign in; undefined when none is configured. */
  readonly jwtVerifier: JwtVerifier | undefined
  /** Rate limits of requests and attempts, shared by all processes. */
  readonly rateLimiter: RateLimiter
  /** Responses that clients have not read yet. */
  readonly unreadAnswers: UnreadAnswers
  /** The store of media files. */
  readonly media: MediaStore
  /** Jobs that run after the transaction that enqueues them, even if the process dies in between. */
  readonly jobs: JobRunner
  /** Undefined when no mail server is configured. */
  readonly mailer: Mailer | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  /** Aborted when the server begins to stop; waiting requests then answer with what they have. */
  readonly stopping: AbortSignal
}

/** The process-wide components by subject. They hold only state that can be lost; the database has everything else. */
export type Components = {
  readonly timeline: {
    readonly clientTransactions: ClientTransactions
    readonly approvedEvents: ApprovedEvents
  }
  readonly reading: {
    readonly inTurn: ReadingTurns
    readonly spaceWalks: SpaceWalks
  }
  /** Processing of events and EDUs from other servers. */
  readonly inbound: {
    readonly inbox: Inbox
    readonly unverifiedEvents: UnverifiedEvents
    readonly earlyReceipts: EarlyReceipts
    readonly backfills: Backfills
  }
  /** Sending of events and EDUs to other servers. */
  readonly outbound: {
    readonly serversAlive: ServersAlive
    readonly transactionTexts: TransactionTexts
  }
  /** Requests to other servers that several callers share. */
  readonly remote: {
    readonly joinRaces: JoinRaces
    readonly deviceListFetches: SingleFlight<void>
    readonly spaces: RemoteSpaces
  }
  readonly push: {
    readonly profileOf: PushProfiles
    readonly prepareEvents: PrepareEvents
    readonly unreadRooms: UnreadRooms
  }
  /** Undefined when no service for spam checks is configured. */
  readonly spamChecks: SpamChecks<Config['spam_checks']['checks'][number]> | undefined
  readonly policyLists: PolicyLists
  readonly knownAppservices: KnownAppservices
  readonly thirdPartyProtocols: ThirdPartyProtocols
  readonly presence: DevicePresence
  readonly sync: {
    readonly connectedUsers: ConnectedUsers
    readonly waitingRequests: WaitingRequests
    readonly firstAnswers: FirstAnswers
    readonly sentMembers: SentMembersOfClients
    readonly slidingAnswers: SlidingAnswers
    readonly keyCounts: KeyCountsOf
    readonly invites: InviteFilter
    readonly directRooms: DirectRooms
  }
}

/** The context of services. `openApp` opens the capabilities of a process, `buildApp` adds its components. */
export type App = Capabilities & Components
