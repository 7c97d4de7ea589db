import { type Command, CommandError, commandHelp, UsageError } from './cli/command.ts'
import { ConfigError } from './config/config-error.ts'
import { nearest } from './config/nearest.ts'
import { HEARTH_VERSION } from './infra/hearth-version.ts'

type Entry = { summary: string; load(): Promise<Command> }

const COMMANDS: Readonly<Record<string, Entry>> = {
  start: {
    summary: 'start the server (also without a command)',
    load: async () => (await import('./cli/start.ts')).start,
  },
  'generate-config': {
    summary: 'print a configuration file with every key explained',
    load: async () => (await import('./cli/generate-config.ts')).generateConfig,
  },
  doctor: {
    summary: 'check the configuration and the installation, and say how to fix them',
    load: async () => (await import('./cli/doctor/doctor.ts')).doctor,
  },
  migrate: {
    summary: 'migrate the database without starting the server',
    load: async () => (await import('./cli/migrate.ts')).migrateDatabase,
  },
  'import-synapse': {
    summary: 'import everything from Synapse: accounts, keys, rooms, media',
    load: async () => (await import('./cli/import-synapse.ts')).importSynapse,
  },
  backup: {
    summary: 'back up the database, the media and the configuration while the server runs',
    load: async () => (await import('./cli/admin/backup.ts')).backupCommand,
  },
  'backup verify': {
    summary: 'check that a backup is whole',
    load: async () => (await import('./cli/admin/backup.ts')).verifyBackupCommand,
  },
  restore: {
    summary: 'restore a backup onto an empty machine',
    load: async () => (await import('./cli/admin/restore.ts')).restore,
  },
  'export-server': {
    summary: 'export the whole server as NDJSON, for people and other programs',
    load: async () => (await import('./cli/admin/export-server.ts')).exportServerCommand,
  },
  'list-endpoints': {
    summary: 'print every HTTP endpoint with its authentication and rate limit',
    load: async () => (await import('./cli/list-endpoints.ts')).listEndpoints,
  },
  'user create': {
    summary: 'create an account',
    load: async () => (await import('./cli/admin/create-user.ts')).createUserCommand,
  },
  'user list': {
    summary: 'list accounts',
    load: async () => (await import('./cli/admin/users.ts')).listUsersCommand,
  },
  'user show': {
    summary: 'show an account',
    load: async () => (await import('./cli/admin/users.ts')).showUserCommand,
  },
  'user lock': {
    summary: 'lock an account',
    load: async () => (await import('./cli/admin/users.ts')).lockUserCommand,
  },
  'user unlock': {
    summary: 'unlock an account',
    load: async () => (await import('./cli/admin/users.ts')).unlockUserCommand,
  },
  'user suspend': {
    summary: 'suspend an account',
    load: async () => (await import('./cli/admin/users.ts')).suspendUserCommand,
  },
  'user unsuspend': {
    summary: 'end the suspension of an account',
    load: async () => (await import('./cli/admin/users.ts')).unsuspendUserCommand,
  },
  'user make-admin': {
    summary: 'make a user an administrator',
    load: async () => (await import('./cli/admin/users.ts')).makeAdminCommand,
  },
  'user revoke-admin': {
    summary: 'take the rights of an administrator from a user',
    load: async () => (await import('./cli/admin/users.ts')).revokeAdminCommand,
  },
  'user deactivate': {
    summary: 'deactivate an account, and erase its data if asked to',
    load: async () => (await import('./cli/admin/users.ts')).deactivateUserCommand,
  },
  'user export': {
    summary: 'write all data of a user into a ZIP archive',
    load: async () => (await import('./cli/admin/export-user.ts')).exportUserCommand,
  },
  'user reset-password': {
    summary: 'set a new password for an account',
    load: async () => (await import('./cli/admin/reset-password.ts')).resetPasswordCommand,
  },
  'user reset-second-factor': {
    summary: 'remove the second factors of an account',
    load: async () => (await import('./cli/admin/users.ts')).resetSecondFactorCommand,
  },
  'user link-provider': {
    summary: 'link an account at an identity provider to a user',
    load: async () => (await import('./cli/admin/provider-links.ts')).linkProviderCommand,
  },
  'user unlink-provider': {
    summary: 'end such a link',
    load: async () => (await import('./cli/admin/provider-links.ts')).unlinkProviderCommand,
  },
  'user list-providers': {
    summary: 'list the accounts of a user at identity providers',
    load: async () => (await import('./cli/admin/provider-links.ts')).listProvidersCommand,
  },
  'token create': {
    summary: 'create a personal token for a bot or a script',
    load: async () => (await import('./cli/admin/tokens.ts')).createToken,
  },
  'token list': {
    summary: 'list the personal tokens of an account',
    load: async () => (await import('./cli/admin/tokens.ts')).listTokens,
  },
  'token revoke': {
    summary: 'revoke a personal token',
    load: async () => (await import('./cli/admin/tokens.ts')).revokeTokenCommand,
  },
  'registration-token create': {
    summary: 'create a token with which visitors register',
    load: async () => (await import('./cli/admin/registration-tokens.ts')).createRegistrationTokenCommand,
  },
  'registration-token list': {
    summary: 'list these tokens',
    load: async () => (await import('./cli/admin/registration-tokens.ts')).listRegistrationTokensCommand,
  },
  'registration-token delete': {
    summary: 'delete such a token',
    load: async () => (await import('./cli/admin/registration-tokens.ts')).deleteRegistrationTokenCommand,
  },
  'room list': {
    summary: 'list rooms',
    load: async () => (await import('./cli/admin/rooms.ts')).listRoomsCommand,
  },
  'room show': {
    summary: 'show a room',
    load: async () => (await import('./cli/admin/rooms.ts')).showRoomCommand,
  },
  'room delete': {
    summary: 'delete a room',
    load: async () => (await import('./cli/admin/rooms.ts')).deleteRoomCommand,
  },
  'room check-state': {
    summary: 'recompute the state of a room, and compare it with other servers',
    load: async () => (await import('./cli/admin/room-state.ts')).checkStateCommand,
  },
  'room rejected-events': {
    summary: 'list events that this server refused, with the rule',
    load: async () => (await import('./cli/admin/refused-events.ts')).listRefusedEventsCommand,
  },
  'room block': {
    summary: 'block a room',
    load: async () => (await import('./cli/admin/rooms.ts')).blockRoomCommand,
  },
  'room unblock': {
    summary: 'end the block of a room',
    load: async () => (await import('./cli/admin/rooms.ts')).unblockRoomCommand,
  },
  'media move': {
    summary: 'move files between the folder and the bucket',
    load: async () => (await import('./cli/admin/move-media.ts')).moveMediaCommand,
  },
  'media quarantine': {
    summary: 'quarantine a file',
    load: async () => (await import('./cli/admin/media.ts')).quarantineMediaCommand,
  },
  'media unquarantine': {
    summary: 'end the quarantine of a file',
    load: async () => (await import('./cli/admin/media.ts')).unquarantineMediaCommand,
  },
  'media delete': {
    summary: 'delete a file',
    load: async () => (await import('./cli/admin/media.ts')).deleteMediaCommand,
  },
  'federation status': {
    summary: 'list the servers to which this one sends',
    load: async () => (await import('./cli/admin/federation.ts')).federationStatusCommand,
  },
  'federation retry': {
    summary: 'send to a server again at once',
    load: async () => (await import('./cli/admin/federation.ts')).retryFederationCommand,
  },
  'signing-key list': {
    summary: 'list the keys that this server signs with',
    load: async () => (await import('./cli/admin/signing-keys.ts')).listSigningKeysCommand,
  },
  'signing-key rotate': {
    summary: 'replace the signing key',
    load: async () => (await import('./cli/admin/signing-keys.ts')).rotateSigningKeyCommand,
  },
}

/** The first words of commands of two words. */
const GROUPS: Readonly<Record<string, string>> = {
  user: 'create, list and change accounts',
  room: 'list, delete and block rooms',
  token: 'personal tokens of bots and scripts',
  'registration-token': 'tokens with which visitors register',
  media: 'uploaded files',
  federation: 'connections with other servers',
  'signing-key': 'the keys that this server signs with',
}

/**
 * Runs a command line (without `node` and the file). Returns the exit code: 0 done, 1 failed, 2 wrong command line or
 * configuration.
 */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words)
  } catch (error) {
    console.error(await explain(error))
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1
  }
}

async function dispatch(words: readonly string[]): Promise<number> {
  const [first] = words
  if (first === '--version') return print(HEARTH_VERSION)
  if (first === '--help' || first === '-h') return print(overview())
  if (first === 'help') return print(words[1] === undefined ? overview() : await helpOf(nameIn(words.slice(1)).name))
  const { name, rest } = nameIn(words)
  if (rest.includes('--help') || rest.includes('-h')) return print(await helpOf(name))
  if (Object.hasOwn(GROUPS, name)) throw new UsageError(groupOverview(name))
  return (await load(name)).run([...rest])
}

/** Splits a command line into the name of the command, of one or two words or a group, and the rest. */
function nameIn(words: readonly string[]): { name: string; rest: readonly string[] } {
  const [first, second] = words
  if (first === undefined || first.startsWith('-')) return { name: 'start', rest: words }
  if (Object.hasOwn(COMMANDS, `${first} ${second}`)) return { name: `${first} ${second}`, rest: words.slice(2) }
  if (!Object.hasOwn(GROUPS, first) || second === undefined || second.startsWith('-'))
    return { name: first, rest: words.slice(1) }
  return { name: `${first} ${second}`, rest: words.slice(2) }
}

function print(text: string): number {
  console.log(text)
  return 0
}

async function helpOf(name: string): Promise<string> {
  return Object.hasOwn(GROUPS, name) ? groupOverview(name) : commandHelp(name, await load(name))
}

function load(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry) return entry.load()
  const meant = nearest(name, [...Object.keys(COMMANDS), ...Object.keys(GROUPS)])
  throw new UsageError(`There is no command ${name}${meant ? `; did you mean ${meant}?` : '.'} See: hearth --help`)
}

function overview(): string {
  const single = Object.entries(COMMANDS).filter(([name]) => !name.includes(' '))
  return `Hearth ${HEARTH_VERSION}, a Matrix homeserver

Usage: hearth [command] [options]

Commands:
${summaries(single.map(([name, { summary }]) => [name, summary]))}

Administration, whether or not the server runs (hearth GROUP --help lists the commands):
${summaries(Object.entries(GROUPS))}

hearth COMMAND --help explains a command and its options.
From a checkout: npm start -- --config FILE, and npm run hearth COMMAND -- [options].`
}

/** Returns the names of the commands of a group. */
export function commandsOf(group: string): string[] {
  return Object.keys(COMMANDS).filter((name) => name.startsWith(`${group} `))
}

function groupOverview(group: string): string {
  return `Usage: hearth ${group} COMMAND [options]

Commands:
${summaries(commandsOf(group).map((name) => [name, COMMANDS[name]!.summary]))}

hearth ${group} COMMAND --help explains a command and its options.`
}

function summaries(lines: (readonly [name: string, summary: string])[]): string {
  const width = Math.max(...lines.map(([name]) => name.length)) + 2
  return lines.map(([name, summary]) => `  ${name.padEnd(width)}${summary}`).join('\n')
}

/** Renders errors that the operator can fix as one line, bugs with their stack. */
async function explain(error: unknown): Promise<string> {
  if (error instanceof ConfigError) return `Hearth cannot use this configuration:\n${error.message}`
  if (error instanceof UsageError || error instanceof CommandError) return error.message
  // Loaded late: it needs much memory, and the supervisor of several processes needs little.
  const { explainError } = await import('./cli/explain-error.ts')
  return explainError(error) ?? `This is a bug in Hearth: ${(error as Error).stack ?? error}`
}
