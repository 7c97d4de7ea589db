import { pino } from 'pino'
import type { z } from 'zod'
import type { App } from '../app.ts'
import type { configSchema } from '../config/schema.ts'
import { defaultConfig } from '../config.ts'
import type { ServerName } from '../core/ids.ts'
import { type Clock, fixedClock } from '../infra/clock.ts'
import { createRateLimiter } from '../infra/concurrency/rate-limiter.ts'
import { systemRandom } from '../infra/random.ts'
import { createPasswordHasher } from '../infra/users/password-hasher.ts'
import { createTestDatabase } from './test-database.ts'

export type UsersTestApp = Pick<
  App,
  'config' | 'serverName' | 'database' | 'clock' | 'random' | 'passwordHasher' | 'rateLimiter' | 'logger'
> & { clock: Clock & { advance(milliseconds: number): void } }

/** What services of accounts need, on a database of its own and with cheap passwords. */
export async function createUsersTestApp(config: z.input<typeof configSchema> = {}): Promise<UsersTestApp> {
  const complete = defaultConfig({
    passwords: { memory_kib: 64, iterations: 1 },
    rate_limits: { enabled: false },
    ...config,
  })
  const database = await createTestDatabase()
  const clock = fixedClock(1_700_000_000_000)
  const logger = pino({ level: 'silent' })
  const { enabled, ...rates } = complete.rate_limits
  return {
    config: complete,
    serverName: 'hearth.test' as ServerName,
    database,
    clock,
    random: systemRandom,
    passwordHasher: createPasswordHasher(complete.passwords),
    rateLimiter: createRateLimiter({ rates: enabled ? rates : {}, database, clock, logger }),
    logger,
  }
}
