import type { AppserviceTables } from './appservices-schema.ts'
import type { DelayedEventTables } from './delayed-events-schema.ts'
import type { EncryptionTables } from './encryption-schema.ts'
import type { EphemeralTables } from './ephemeral-schema.ts'
import type { FederationTables } from './federation-schema.ts'
import type { JobTables } from './jobs-schema.ts'
import type { MediaTables } from './media-schema.ts'
import type { NoticesAndMailTables } from './notices-and-mail-schema.ts'
import type { NotificationTables } from './notifications-schema.ts'
import type { PresenceTables } from './presence-schema.ts'
import type { RateLimitTables } from './rate-limits-schema.ts'
import type { RendezvousTables } from './rendezvous-schema.ts'
import type { ReportTables } from './reports-schema.ts'
import type { RoomTables } from './rooms-schema.ts'
import type { SearchTables } from './search-schema.ts'
import type { ServerKeyTables } from './server-keys-schema.ts'
import type { SlidingSyncTables } from './sliding-sync-schema.ts'
import type { StreamTables } from './stream-schema.ts'
import type { UserTables } from './users-schema.ts'

/** All tables, as `migrations/` documents them. bigint columns arrive as numbers: all stay below 2^53. */
export type Tables = UserTables &
  MediaTables &
  EphemeralTables &
  EncryptionTables &
  NotificationTables &
  NoticesAndMailTables &
  PresenceTables &
  SearchTables &
  JobTables &
  RateLimitTables &
  ServerKeyTables &
  FederationTables &
  AppserviceTables &
  ReportTables &
  RendezvousTables &
  RoomTables &
  StreamTables &
  DelayedEventTables &
  SlidingSyncTables & {
    server_secrets: { name: string; value: string }
  }
