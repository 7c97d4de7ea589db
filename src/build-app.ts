import type { App, Capabilities } from './app.ts'
import { createSingleFlight } from './infra/concurrency/single-flight.ts'
import { createSpamChecks } from './infra/http/spam-checks.ts'
import { createThirdPartyProtocols } from './services/appservices/third-party-protocols.ts'
import { createBackfills } from './services/federation/inbound/backfills.ts'
import { createEarlyReceipts } from './services/federation/inbound/early-receipts.ts'
import { createUnverifiedEvents } from './services/federation/inbound/unverified-events.ts'
import { createInbox } from './services/federation/inbound/work-inbox.ts'
import { createJoinRaces } from './services/federation/joining/join-race.ts'
import { createServersAlive } from './services/federation/outbound/servers-alive.ts'
import { createTransactionTexts } from './services/federation/outbound/transaction-text.ts'
import { createRemoteSpaces } from './services/lookup/remote-spaces.ts'
import { createDevicePresence } from './services/presence/device-presence.ts'
import { createPreparedEvents } from './services/push/prepare-events.ts'
import { createPushProfiles } from './services/push/push-profile.ts'
import { createUnreadRooms } from './services/push/unread-rooms-cache.ts'
import { createPolicyLists } from './services/rooms/access/policy-lists.ts'
import { createSpaceWalks } from './services/rooms/directory/space-walks.ts'
import { createReadingTurns } from './services/rooms/reading/reading-turns.ts'
import { createApprovedEvents } from './services/rooms/timeline/approved-events.ts'
import { createClientTransactions } from './services/rooms/timeline/client-transactions.ts'
import { createFirstAnswers } from './services/sync/answers/first-answers.ts'
import { createSentMembers } from './services/sync/answers/sent-members.ts'
import { createInviteFilter } from './services/sync/sections/hidden-invites.ts'
import { createKeyCounts } from './services/sync/sections/key-counts.ts'
import { createDirectRooms } from './services/sync/sliding/direct-rooms.ts'
import { createSlidingAnswers } from './services/sync/sliding/store-answers.ts'
import { createConnectedUsers } from './services/sync/waiting/connected-users.ts'
import { createWaitingRequests } from './services/sync/waiting/waiting-requests.ts'
import { createKnownAppservices } from './services/users/known-appservices.ts'

/** Creates an app from its capabilities, with all process-wide components. Does not start any of them. */
export function buildApp(capabilities: Capabilities): App {
  const checks = { timeline: buildTimeline(capabilities), spamChecks: buildSpamChecks(capabilities) }
  return {
    ...capabilities,
    ...checks,
    reading: buildReading(),
    inbound: buildInbound({ ...capabilities, ...checks }),
    outbound: { serversAlive: createServersAlive(capabilities), transactionTexts: createTransactionTexts() },
    remote: buildRemote(capabilities),
    push: buildPush(capabilities),
    policyLists: createPolicyLists(capabilities),
    knownAppservices: createKnownAppservices(capabilities),
    thirdPartyProtocols: createThirdPartyProtocols(),
    presence: createDevicePresence(capabilities),
    sync: buildSync(capabilities),
  }
}

function buildTimeline({ database }: Capabilities): App['timeline'] {
  return { clientTransactions: createClientTransactions(database), approvedEvents: createApprovedEvents() }
}

function buildReading(): App['reading'] {
  return { inTurn: createReadingTurns(), spaceWalks: createSpaceWalks() }
}

function buildSync({ config, database, stream }: Capabilities): App['sync'] {
  return {
    connectedUsers: createConnectedUsers({ database, stream }),
    waitingRequests: createWaitingRequests(config.limits.counts.waiting_requests),
    firstAnswers: createFirstAnswers(),
    sentMembers: createSentMembers(),
    slidingAnswers: createSlidingAnswers(database),
    keyCounts: createKeyCounts({ database, stream }),
    invites: createInviteFilter({ database, stream }),
    directRooms: createDirectRooms({ database, stream }),
  }
}

function buildInbound(capabilities: Capabilities & Pick<App, 'timeline' | 'spamChecks'>): App['inbound'] {
  const inbox = createInbox(capabilities)
  return {
    inbox,
    unverifiedEvents: createUnverifiedEvents({ ...capabilities, inbox }),
    earlyReceipts: createEarlyReceipts(capabilities),
    backfills: createBackfills(capabilities.clock),
  }
}

function buildRemote({ stream }: Capabilities): App['remote'] {
  return {
    joinRaces: createJoinRaces(stream),
    deviceListFetches: createSingleFlight(),
    spaces: createRemoteSpaces(),
  }
}

function buildPush({ database, stream }: Capabilities): App['push'] {
  return {
    profileOf: createPushProfiles({ database, stream }),
    prepareEvents: createPreparedEvents(database),
    unreadRooms: createUnreadRooms(stream),
  }
}

function buildSpamChecks({ config, configuredHttp: http, logger, stopping }: Capabilities): App['spamChecks'] {
  const { url, ...options } = config.spam_checks
  return url === undefined ? undefined : createSpamChecks({ url, ...options }, { http, logger, stopping })
}
