import type { Appservice } from '../../core/appservice.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Logger } from '../../infra/logger.ts'
import { wakeAppservice } from '../../storage/appservices/appservices.ts'
import type { Database } from '../../storage/engine/database.ts'
import { hashToken } from './tokens.ts'

/** The application services in the configuration. */
export type KnownAppservices = {
  /** Finds the application service with this token. */
  findByToken(token: string): Appservice | undefined
  /** Finds an application service by the token's hash: comparing hashes leaks nothing about the token by timing. */
  findByHash(tokenHash: string): Appservice | undefined
  /** Records that an application service is up again when it sends a request, which ends its back-off. */
  noteAlive(appservice: Appservice): void
}

type Capabilities = {
  config: { appservices: readonly Appservice[] }
  database: Database
  clock: Clock
  logger: Logger
}

/** How often a process records that an application service is alive. */
const ALIVE_INTERVAL_MS = 5000

export function createKnownAppservices({ config, database, clock, logger }: Capabilities): KnownAppservices {
  const byTokenHash = new Map(config.appservices.map((each) => [hashToken(each.asToken), each]))
  const noted = new Map<Appservice, number>()
  return {
    findByToken: (token) => (byTokenHash.size > 0 ? byTokenHash.get(hashToken(token)) : undefined),
    findByHash: (tokenHash) => byTokenHash.get(tokenHash),
    noteAlive(appservice) {
      const now = clock.now()
      if (now - (noted.get(appservice) ?? 0) < ALIVE_INTERVAL_MS) return
      noted.set(appservice, now)
      database
        .write((tx) => wakeAppservice(tx, appservice.id, now))
        .catch((error) => logger.warn({ err: error }, 'resetting the back-off of an appservice failed'))
    },
  }
}
