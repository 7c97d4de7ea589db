import { pino } from 'pino'
import type { z } from 'zod'
import type { App } from '../../app.ts'
import type { configSchema } from '../../config/schema.ts'
import { defaultConfig } from '../../config.ts'
import type { ServerName } from '../../core/ids.ts'
import { type Clock, fixedClock } from '../../infra/clock.ts'
import { createPasswordHasher } from '../../infra/password-hasher.ts'
import { systemRandom } from '../../infra/random.ts'
import { createTestDatabase } from '../../storage/test-database.ts'

export type UsersTestApp = Pick<
  App,
  'config' | 'serverName' | 'database' | 'clock' | 'random' | 'passwordHasher' | 'logger'
> & { clock: Clock & { advance(milliseconds: number): void } }

/** What services of accounts need, on a database of its own and with cheap passwords. */
export async function createUsersTestApp(config: z.input<typeof configSchema> = {}): Promise<UsersTestApp> {
  const complete = defaultConfig({ passwords: { memory_kib: 64, iterations: 1 }, ...config })
  return {
    config: complete,
    serverName: 'hearth.test' as ServerName,
    database: await createTestDatabase(),
    clock: fixedClock(1_700_000_000_000),
    random: systemRandom,
    passwordHasher: createPasswordHasher(complete.passwords),
    logger: pino({ level: 'silent' }),
  }
}
