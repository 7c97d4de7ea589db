import type { App, Capabilities } from './app.ts'
import { createSpaceWalks } from './services/rooms/directory/space-walks.ts'
import { createReadingTurns } from './services/rooms/reading/reading-turns.ts'
import { createApprovedEvents } from './services/rooms/timeline/approved-events.ts'
import { createClientTransactions } from './services/rooms/timeline/client-transactions.ts'

/** Makes an app from its capabilities, with all that a process has one of. Nothing of it runs yet. */
export function buildApp(capabilities: Capabilities): App {
  return {
    ...capabilities,
    timeline: buildTimeline(capabilities),
    reading: buildReading(),
  }
}

function buildTimeline({ database }: Pick<Capabilities, 'database'>): App['timeline'] {
  return { clientTransactions: createClientTransactions(database), approvedEvents: createApprovedEvents() }
}

function buildReading(): App['reading'] {
  return { inTurn: createReadingTurns(), spaceWalks: createSpaceWalks() }
}
