import type { App } from '../../app.ts'
import { type Appservice, hasUser } from '../../core/appservice.ts'
import type { UserId } from '../../core/ids.ts'
import { startLeasedWorker } from '../../infra/concurrency/leased-worker.ts'
import { beginAppservice, changeUsers, loadUserIds, resetMembers } from '../../storage/appservices/appservices.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { prepareAppserviceSenders } from '../users/registration/appservice-users.ts'
import { createTransactionSender, LEASE_MS, type TransactionSenderApp } from './transaction-sender.ts'

/** Poll interval for ended back-offs and leases of dead processes. */
const LOOK_MS = 1000
const USERS_AT_ONCE = 10_000

/**
 * Sends events to application services in order, each by one process at a time. Does nothing without application
 * services. `stop` aborts requests in flight; other processes continue.
 * https://spec.matrix.org/v1.19/application-service-api/#pushing-events
 */
export async function startTransactionSenders(
  app: TransactionSenderApp & Pick<App, 'stream'>,
): Promise<{ stop(): Promise<void> }> {
  await prepareAppserviceSenders(app)
  const reachable = app.config.appservices.filter(({ url }) => url !== null)
  for (const appservice of reachable) await prepare(app, appservice)
  const workers = reachable.map((appservice) => {
    const sender = createTransactionSender(app, appservice)
    return startLeasedWorker(app, {
      failure: 'appservice transaction sender failed, will retry',
      lookEvery: LOOK_MS,
      subscribe: ({ now }) =>
        app.stream.subscribe((rows) => {
          if (sender.concerns(rows)) now()
        }),
      look: () => sender.drain(),
      renew: { leaseMs: LEASE_MS, run: () => sender.renew() },
      release: () => sender.release(),
    })
  })
  return {
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()))
    },
  }
}

/**
 * A new application service starts at the current position. If its namespaces have changed, its members are loaded
 * again.
 */
async function prepare(app: Pick<App, 'database' | 'stream'>, appservice: Appservice): Promise<void> {
  const appserviceId = appservice.id
  const users = JSON.stringify([appservice.sender, ...appservice.namespaces.users.map(({ regex }) => regex.source)])
  const position = await app.stream.refresh()
  await app.database.write(async (tx) => {
    const isNew = await beginAppservice(tx, { appserviceId, position, users })
    if (isNew || (await changeUsers(tx, appserviceId, users))) {
      await resetMembers(tx, appserviceId, await usersOf(tx, appservice))
    }
  })
}

async function usersOf(tx: Tx, appservice: Appservice): Promise<UserId[]> {
  const found: UserId[] = []
  let page: UserId[] = []
  do {
    page = await loadUserIds(tx, page.at(-1) ?? '', USERS_AT_ONCE)
    for (const userId of page) if (hasUser(appservice, userId)) found.push(userId)
  } while (page.length === USERS_AT_ONCE)
  return found
}
