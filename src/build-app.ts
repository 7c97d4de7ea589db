import type { App, Capabilities } from './app.ts'
import { createBackfills } from './services/federation/inbound/backfills.ts'
import { createEarlyReceipts } from './services/federation/inbound/early-receipts.ts'
import { createUnverifiedEvents } from './services/federation/inbound/unverified-events.ts'
import { createInbox } from './services/federation/inbound/work-inbox.ts'
import { createDevicePresence } from './services/presence/device-presence.ts'
import { createSpaceWalks } from './services/rooms/directory/space-walks.ts'
import { createReadingTurns } from './services/rooms/reading/reading-turns.ts'
import { createApprovedEvents } from './services/rooms/timeline/approved-events.ts'
import { createClientTransactions } from './services/rooms/timeline/client-transactions.ts'
import { createConnectedUsers } from './services/sync/sections/connected-users.ts'
import { createFirstAnswers } from './services/sync/sections/first-answers.ts'
import { createSentMembers } from './services/sync/sections/sent-members.ts'
import { createWaitingRequests } from './services/sync/sections/waiting-requests.ts'
import { createSlidingAnswers } from './services/sync/sliding/store-answers.ts'

/** Creates an app from its capabilities, with all process-wide components. Does not start any of them. */
export function buildApp(capabilities: Capabilities): App {
  return {
    ...capabilities,
    timeline: buildTimeline(capabilities),
    reading: buildReading(),
    inbound: buildInbound(capabilities),
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
  }
}

function buildInbound(capabilities: Capabilities): App['inbound'] {
  const inbox = createInbox(capabilities)
  return {
    inbox,
    unverifiedEvents: createUnverifiedEvents({ ...capabilities, inbox }),
    earlyReceipts: createEarlyReceipts(capabilities),
    backfills: createBackfills(capabilities.clock),
  }
}
