import { z } from 'zod'
import type { ServerName } from '../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersionId } from '../core/room-versions.ts'
import { withoutTrailingSlashes } from '../core/text/trailing-slashes.ts'
import { abuse } from './abuse.ts'
import { accountValidity } from './account-validity.ts'
import { alerts } from './alerts.ts'
import { branding } from './branding.ts'
import { calls } from './calls.ts'
import { email } from './email.ts'
import { identityProviders } from './identity-providers.ts'
import { jwt } from './jwt.ts'
import { ldap } from './ldap.ts'
import { limits } from './limits.ts'
import { oauth } from './oauth.ts'
import { serverLists } from './patterns.ts'
import { personalTokens } from './personal-tokens.ts'
import { phone } from './phone.ts'
import { rateLimits } from './rate-limits.ts'
import { registration } from './registration.ts'
import { retention } from './retention.ts'
import { s3 } from './s3.ts'
import { scanner } from './scanner.ts'
import { serverNotices } from './server-notices.ts'
import { signIn } from './sign-in.ts'
import { spamChecks } from './spam-checks.ts'
import { turn } from './turn.ts'
import { byteSize, duration } from './units.ts'
import { urlPreviews } from './url-previews.ts'

const file = z.string().min(1)
const count = z.int().positive()

const NOT_A_ROOM_VERSION = `expected one of ${[...ROOM_VERSIONS.keys()].join(', ')}`

/**
 * https://spec.matrix.org/v1.19/appendices/#server-name. Only lower case: other servers compare names case-sensitively.
 */
const serverName = z
  .string()
  .regex(
    /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,230})(:\d{1,5})?$/,
    "expected a host name in lower case with an optional port, such as 'example.org' (no 'https://', no path)",
  )
  .transform((name) => name as ServerName)

const baseUrl = z
  .string()
  .refine((text) => /^https?:$/.test(urlProtocol(text)), "expected a URL such as 'https://matrix.example.org'")
  .transform(withoutTrailingSlashes)

const databaseUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:$/.test(urlProtocol(text)),
    "expected a URL such as 'postgresql://user:password@host:5432/hearth'",
  )

const roomVersion = z
  .union([z.string(), z.int()], { error: NOT_A_ROOM_VERSION })
  .transform(String)
  .refine((id) => ROOM_VERSIONS.has(id), NOT_A_ROOM_VERSION)
  .transform((id) => id as RoomVersionId)

const listener = z.strictObject({
  bind: z.string().min(1).prefault('127.0.0.1'),
  port: z.int().min(0).max(65_535),
  tls: z.strictObject({ certificate: file, key: file }).optional(),
  serves: z
    .array(z.enum(['client', 'federation', 'media', 'metrics', 'admin']))
    .min(1)
    .prefault(['client', 'federation', 'media', 'admin']),
  trust_forwarded_for: z.boolean().optional(),
  trusted_proxies: z.int().min(0).optional(),
})

const thumbnailSize = z.strictObject({ width: count, height: count, method: z.enum(['crop', 'scale']) })

const auditLog = z
  .strictObject({
    keep: duration.prefault('730d').describe('How long entries are kept.'),
  })
  .prefault({})
  .describe('The log of what administrators do, which they can read: docs/administration.md.')

const figures = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe(
        'Whether to collect them: requests, durations and bytes by route, client and server, and the load of processes and database, for a year. A process uses some 10 MiB of the database for them, all processes together another 10.',
      ),
  })
  .prefault({})
  .describe('Load and bandwidth over time, for administrators: docs/administration.md.')

const database = z
  .strictObject({
    url: databaseUrl.optional().meta({
      description:
        'The PostgreSQL database. Absent: an embedded database in data_dir, for one process. Any number of Hearth processes may share one PostgreSQL.',
      example: 'postgresql://hearth:secret@localhost:5432/hearth',
    }),
    pool_size: count.prefault(10).describe('The maximum number of connections that each process opens to PostgreSQL.'),
    statement_timeout: duration
      .prefault('2m')
      .describe('How long one statement may run in PostgreSQL before it fails; 0s: no limit. Migrations are exempt.'),
    lock_timeout: duration
      .prefault('1m')
      .describe('How long one statement may wait for a lock in PostgreSQL; 0s: no limit.'),
    idle_transaction_timeout: duration
      .prefault('5m')
      .describe('How long a transaction may stay idle in PostgreSQL; 0s: no limit.'),
    cache_size: byteSize.prefault('128M').describe('How much memory each process uses to cache events and room state.'),
  })
  .prefault({})
  .describe('The database for accounts, rooms and events.')

const federation = z
  .strictObject({
    enabled: z.boolean().prefault(true).describe('Whether to exchange events with other homeservers.'),
    servers: serverLists(
      'Servers with which to federate. With others nothing is exchanged: they get no requests, and theirs are refused. This does not hold for what they and allowed servers exchange, such as events of their users in rooms that they share.',
    ),
    trusted_notaries: z
      .array(serverName)
      .prefault([])
      .describe(
        'Servers to ask for the signing keys of servers that are down (notaries). They are trusted to return correct keys: name only servers that you trust, such as matrix.org.',
      ),
    trusted_certificates: z
      .array(file)
      .prefault([])
      .describe(
        'PEM files of additional certificate authorities to trust: for other servers, push gateways, application services, identity servers and the mail server.',
      ),
    tell_device_names: z
      .boolean()
      .prefault(false)
      .describe(
        "Whether to send the display names of users' devices, such as 'Phone of Anna', to other servers. Remote users then see them beside the keys.",
      ),
    allow_private_addresses: z
      .boolean()
      .prefault(false)
      .describe(
        'Whether to connect to private and loopback addresses. If true, other servers can make Hearth send requests into your network: use it only for private federations and tests.',
      ),
  })
  .prefault({})
  .describe('Other homeservers.')

const uploadLimit = z.strictObject({
  time_period: duration.optional(),
  max_size: byteSize,
  info_uri: z.url({ protocol: /^https?$/, error: "expected a URL such as 'https://example.org/limits'" }).optional(),
  can_upgrade: z.boolean().optional(),
})

const media = z
  .strictObject({
    max_upload_size: byteSize.prefault('50M').describe('The largest file that may be uploaded.'),
    min_upload_rate: byteSize
      .prefault('1K')
      .describe(
        'The minimum average speed of an upload, in bytes per second, measured after limits.request_timeout; slower uploads fail with 408.',
      ),
    max_concurrent_uploads: count
      .prefault(20)
      .describe('How many files each user may upload to a process at the same time.'),
    storage_dir: file.optional().meta({
      description: 'The folder for files; all processes must share it. Absent: media inside data_dir.',
      example: '/srv/hearth/media',
    }),
    store: z.enum(['disk', 's3']).optional().meta({
      description:
        'Where new files go: disk (storage_dir) or s3. Files are found in both; hearth media move moves them. Absent: s3 if s3.bucket is set, else disk.',
      example: 's3',
    }),
    s3,
    scanner,
    thumbnail_sizes: z
      .array(thumbnailSize)
      .prefault([
        { width: 32, height: 32, method: 'crop' },
        { width: 96, height: 96, method: 'crop' },
        { width: 320, height: 240, method: 'scale' },
        { width: 640, height: 480, method: 'scale' },
        { width: 800, height: 600, method: 'scale' },
      ])
      .describe('The sizes of thumbnails, in pixels. A client gets the next one up from the size it asks for.'),
    max_image_pixels: count
      .prefault(100_000_000)
      .describe(
        'Images with more pixels (width times height) get no thumbnails: decoding them could exhaust the memory.',
      ),
    ffmpeg: file.optional().meta({
      description:
        'The program ffmpeg, for thumbnails of videos: their first frame. Absent: videos have no thumbnails. It reads files that anyone may have made: keep it up to date.',
      example: '/usr/bin/ffmpeg',
    }),
    unauthenticated_downloads: z
      .boolean()
      .prefault(false)
      .describe('Whether files can be downloaded without an access token, as clients and servers from before 2024 do.'),
    remote_cache_lifetime: duration
      .prefault('30d')
      .describe('How long files of other servers stay in the local cache after their last download.'),
    local_lifetime: duration.optional().meta({
      description:
        'How long files of users of this server are kept after their last download. Avatars of users and rooms, quarantined and protected files stay. Absent: for ever.',
      example: '365d',
    }),
    async_upload_expiry: duration
      .prefault('24h')
      .describe('How long after a client reserves a media id it may upload the file.'),
    upload_limits: z
      .array(uploadLimit)
      .max(10)
      .prefault([{ time_period: '24h', max_size: '20G' }])
      .describe(
        'How much each user may upload within a period, in addition to max_upload_size; without time_period: how much each user may store. Deleted files do not count. info_uri: a page about the limit, which clients show (default: the page Uploads of the account). can_upgrade: whether that page offers a higher limit.',
      ),
    max_pending_uploads: count
      .prefault(5)
      .describe('How many media ids each user may have reserved without an upload.'),
  })
  .prefault({})
  .describe('Files that users send.')

const passwords = z
  .strictObject({
    minimum_length: count.prefault(8).describe('The minimum number of characters of a new password.'),
    memory_kib: z.int().min(8).prefault(19_456).describe('Memory to hash one password with Argon2id, in KiB.'),
    iterations: count.prefault(2).describe('Passes over that memory.'),
    parallelism: z.int().min(1).max(255).prefault(1).describe('Threads to hash one password.'),
  })
  .prefault({})
  .describe('Password rules and the cost of hashing. Passwords set before a change of the cost keep working.')

const sessions = z
  .strictObject({
    access_token_lifetime: duration
      .prefault('5m')
      .describe(
        'Lifetime of access tokens of clients that can refresh them. Tokens of other clients are valid until logout.',
      ),
    login_token_lifetime: duration
      .prefault('2m')
      .describe('Lifetime of login tokens, with which one client logs in another, for instance by a QR code.'),
    web_session_lifetime: duration
      .prefault('30d')
      .describe('How long a browser stays signed in to the account pages after its last use.'),
  })
  .prefault({})
  .describe('Session and token lifetimes.')

const secondFactor = z
  .enum(['off', 'optional', 'required_for_admins', 'required'])
  .prefault('optional')
  .describe(
    "Second factors (authenticator app, passkey): off (users cannot add any; existing ones stay in force), optional, required_for_admins, or required for all users. A user without a required one has to add it after signing in on this server's pages. Passwords alone then no longer work at /login.",
  )

const contact = z
  .strictObject({
    role: z.string().min(1).prefault('m.role.admin'),
    matrix_id: z.string().startsWith('@', "expected a user such as '@admin:example.org'").optional(),
    email_address: z.email('expected an email address').optional(),
  })
  .refine(({ matrix_id, email_address }) => matrix_id ?? email_address, 'expected matrix_id or email_address')

const support = z
  .strictObject({
    contacts: z
      .array(contact)
      .prefault([])
      .describe(
        'Contacts for users and for administrators of other servers. role: m.role.admin (the default) or m.role.security. matrix_id or email_address: how to reach the contact.',
      ),
    page: z
      .url('expected a URL')
      .optional()
      .meta({ description: 'A web page with help.', example: 'https://example.org/help' }),
  })
  .prefault({})
  .describe('Support contacts, served at /.well-known/matrix/support.')

const policyServer = z
  .strictObject({
    public_key: z
      .string()
      .regex(/^[A-Za-z0-9+/_-]{43}$/, 'expected an Ed25519 key in unpadded Base64')
      .optional()
      .meta({
        description:
          'The public key of the policy server at this server name. Clients that set it up for a room read it from /.well-known/matrix/policy_server.',
        example: '6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s',
      }),
  })
  .prefault({})
  .describe(
    'A policy server beside Hearth: a program that checks events of rooms. The reverse proxy has to route /_matrix/policy to it.',
  )

const delayedEvents = z
  .strictObject({
    max_delay: duration
      .prefault('7d')
      .describe('The longest delay. Calls request hours; 0s: delayed events are disabled.'),
    max_scheduled: count.prefault(100).describe('How many events each user may have scheduled at a time.'),
  })
  .prefault({})
  .describe(
    'Events that clients schedule for later (MSC4140). Calls need them to end when a participant loses the connection.',
  )

const presence = z
  .strictObject({
    enabled: z
      .boolean()
      .prefault(true)
      .describe('Whether users see who is online. Disabling presence saves CPU time, most of all in large rooms.'),
  })
  .prefault({})
  .describe('Presence: which users are online, idle or away.')

const log = z
  .strictObject({
    level: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .prefault('info')
      .describe('The lowest level of messages to write: trace, debug, info, warn, error, fatal or silent.'),
    format: z
      .enum(['pretty', 'json'])
      .optional()
      .meta({ description: 'pretty or json. Absent: pretty in a terminal, otherwise json.', example: 'json' }),
  })
  .prefault({})
  .describe('The log, which goes to standard output.')

/**
 * All keys with types, defaults and descriptions. Config, the validation of file and variables, and config.example.yaml
 * derive from it.
 */
export const configSchema = z.strictObject({
  server_name: serverName
    .prefault('localhost')
    .describe(
      'The name of this server: the part behind the colon in @user:example.org. It is part of every user id and event, so it cannot be changed later.',
    ),
  public_base_url: baseUrl.optional().meta({
    description:
      'The public URL of this server for clients. Absent: https:// and server_name, or the first listener when server_name is localhost.',
    example: 'https://matrix.example.org',
  }),
  data_dir: file
    .prefault('./data')
    .describe('The folder for all data of Hearth. Relative paths in this file start from the working directory.'),
  signing_key: file.optional().meta({
    description:
      "A file with this server's signing key, such as the signing.key of a Synapse. Absent: signing.key inside data_dir if it exists, otherwise the key in the database, which Hearth creates at its first start.",
    example: '/etc/hearth/signing.key',
  }),
  listeners: z
    .array(listener)
    .min(1)
    .prefault([{ bind: '127.0.0.1', port: 8008 }])
    .describe(
      'Addresses to listen on. bind: an address (127.0.0.1: only this machine, which is the default; 0.0.0.0 or "::": every interface). tls: {certificate: FILE, key: FILE} (absent: plain HTTP, for a reverse proxy). serves: any of client, federation, media, admin (the default is these four) and metrics. trust_forwarded_for: whether requests come through a reverse proxy that appends the client address to X-Forwarded-For (default: only on loopback addresses). trusted_proxies: how many proxies a request passes (default 1): Hearth trusts this number of entries at the end of X-Forwarded-For.',
    ),
  default_room_version: roomVersion
    .prefault('12')
    .describe('The room version of new rooms, unless the creator requests another.'),
  database,
  registration,
  account_validity: accountValidity,
  passwords,
  second_factor: secondFactor,
  sessions,
  oauth,
  branding,
  sign_in: signIn,
  identity_providers: identityProviders,
  ldap,
  jwt,
  personal_tokens: personalTokens,
  support,
  federation,
  appservices: z
    .array(file)
    .prefault([])
    .describe(
      'Registration files (YAML) of application services, such as bridges. Hearth reads them when it starts; all processes need the same files.',
    ),
  media,
  url_previews: urlPreviews,
  turn,
  calls,
  delayed_events: delayedEvents,
  presence,
  email,
  phone,
  server_notices: serverNotices,
  policy_server: policyServer,
  abuse,
  spam_checks: spamChecks,
  rate_limits: rateLimits,
  limits,
  retention,
  audit_log: auditLog,
  figures,
  alerts,
  log,
})

function urlProtocol(text: string): string {
  return URL.canParse(text) ? new URL(text).protocol : ''
}
