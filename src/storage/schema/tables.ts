import type { AdministrationTables } from './administration.ts'
import type { AppserviceTables } from './appservices.ts'
import type { BackupTables } from './backup.ts'
import type { DelayedEventTables } from './delayed-events.ts'
import type { EncryptionTables } from './devices.ts'
import type { EphemeralTables } from './ephemeral.ts'
import type { FederationTables } from './federation.ts'
import type { FigureTables } from './figures.ts'
import type { ImportTables } from './import.ts'
import type { JobTables } from './jobs.ts'
import type { MediaTables } from './media.ts'
import type { OAuthTables } from './oauth.ts'
import type { OAuthDeviceGrantTables } from './oauth-device-grants.ts'
import type { PresenceTables } from './presence.ts'
import type { PurgeTables } from './purge.ts'
import type { PushTables } from './push.ts'
import type { RateLimitTables } from './rate-limits.ts'
import type { RendezvousTables } from './rendezvous.ts'
import type { ReportTables } from './reports.ts'
import type { RoomListTables } from './room-lists.ts'
import type { RoomTables } from './rooms.ts'
import type { RtcTables } from './rtc.ts'
import type { SearchTables } from './search.ts'
import type { ServerKeyTables } from './server-keys.ts'
import type { SignInTables } from './sign-in.ts'
import type { SlidingSyncTables } from './sliding-sync.ts'
import type { StreamTables } from './stream.ts'
import type { ThreepidTables } from './third-party-ids.ts'
import type { UpstreamTables } from './upstream.ts'
import type { UserTables } from './users.ts'

/** All tables; `migrations/` documents them. bigint columns arrive as numbers: all stay below 2^53. */
export type Tables = UserTables &
  AdministrationTables &
  BackupTables &
  MediaTables &
  EphemeralTables &
  EncryptionTables &
  PushTables &
  PurgeTables &
  ThreepidTables &
  PresenceTables &
  SearchTables &
  JobTables &
  ImportTables &
  RateLimitTables &
  ServerKeyTables &
  FederationTables &
  FigureTables &
  AppserviceTables &
  ReportTables &
  RendezvousTables &
  OAuthTables &
  OAuthDeviceGrantTables &
  RoomTables &
  StreamTables &
  DelayedEventTables &
  RtcTables &
  RoomListTables &
  SignInTables &
  UpstreamTables &
  SlidingSyncTables & {
    server_secrets: { name: string; value: string }
  }
