import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { App } from '../app.ts'
import { defaultConfig } from '../config.ts'
import type { ServerName } from '../core/ids.ts'
import { fixedClock } from '../infra/clock.ts'
import { createRateLimiter } from '../infra/concurrency/rate-limiter.ts'
import { createUnreadAnswers } from '../infra/http/unread-answers.ts'
import { createMetrics } from '../infra/metrics.ts'
import { systemRandom } from '../infra/random.ts'
import { createMediaStore } from '../services/media/media-store.ts'
import { createTestDatabase } from './test-database.ts'
import { createNoFederation, createTestLanes } from './test-federation.ts'

/**
 * What media services need, on a database and a folder of its own. `files` are those in the store and on their way
 * there.
 */
export async function createMediaTestApp(media: Partial<App['config']['media']> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-media-'))
  const database = await createTestDatabase()
  const clock = fixedClock(1_700_000_000_000)
  const defaults = defaultConfig()
  const config = { ...defaults, media: { ...defaults.media, storage_dir: folder, ...media } }
  const logger = pino({ level: 'silent' })
  const app = {
    config,
    serverName: 'hearth.test' as ServerName,
    database,
    federation: createNoFederation('hearth.test' as ServerName),
    lanes: createTestLanes(),
    transfers: createTestLanes(),
    clock,
    random: systemRandom,
    rateLimiter: createRateLimiter({ rates: {}, database, clock, logger }),
    unreadAnswers: createUnreadAnswers({ clock, logger }, { ofOwner: 1e9, ofAll: 1e9, timeout: 60_000 }),
    media: createMediaStore(config.media, logger),
    metrics: createMetrics(),
    logger,
    stopping: new AbortController().signal,
  } as unknown as App
  const files = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  const close = async () => {
    app.metrics.close()
    app.unreadAnswers.stop()
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { app, clock, files, close }
}
