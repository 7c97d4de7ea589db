import { type Command, CommandError, commandHelp, UsageError } from './cli/command.ts'
import { explainError } from './cli/explain-error.ts'
import { nearest } from './config/nearest.ts'
import { ConfigError } from './config.ts'
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
  'create-user': {
    summary: 'create an account',
    load: async () => (await import('./cli/create-user.ts')).createUserCommand,
  },
  'create-registration-token': {
    summary: 'create a token with which visitors register',
    load: async () => (await import('./cli/create-registration-token.ts')).createRegistrationTokenCommand,
  },
  'reset-password': {
    summary: 'set a new password for an account',
    load: async () => (await import('./cli/reset-password.ts')).resetPassword,
  },
  'reset-second-factor': {
    summary: 'remove the second factors of an account',
    load: async () => (await import('./cli/reset-second-factor.ts')).resetSecondFactor,
  },
  'create-token': {
    summary: 'create a personal token for a bot or a script',
    load: async () => (await import('./cli/create-token.ts')).createToken,
  },
  'list-tokens': {
    summary: 'list the personal tokens of an account',
    load: async () => (await import('./cli/list-tokens.ts')).listTokens,
  },
  'revoke-token': {
    summary: 'revoke a personal token',
    load: async () => (await import('./cli/revoke-token.ts')).revokeTokenCommand,
  },
  'link-provider': {
    summary: 'link an account at an identity provider to a user',
    load: async () => (await import('./cli/provider-links.ts')).linkProviderCommand,
  },
  'unlink-provider': {
    summary: 'end such a link',
    load: async () => (await import('./cli/provider-links.ts')).unlinkProviderCommand,
  },
  'list-providers': {
    summary: 'list the accounts of a user at identity providers',
    load: async () => (await import('./cli/provider-links.ts')).listProvidersCommand,
  },
  media: {
    summary: 'move files between the folder and the bucket',
    load: async () => (await import('./cli/media.ts')).media,
  },
  migrate: {
    summary: 'migrate the database without starting the server',
    load: async () => (await import('./cli/migrate.ts')).migrateDatabase,
  },
  'list-endpoints': {
    summary: 'print every HTTP endpoint with its authentication and rate limit',
    load: async () => (await import('./cli/list-endpoints.ts')).listEndpoints,
  },
  doctor: {
    summary: 'check the configuration and the installation, and say how to fix them',
    load: async () => (await import('./cli/doctor/doctor.ts')).doctor,
  },
}

/**
 * Runs a command line (without `node` and the file). Returns the exit code: 0 done, 1 failed, 2 wrong command line or
 * configuration.
 */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  try {
    return await dispatch(words)
  } catch (error) {
    console.error(explain(error))
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1
  }
}

async function dispatch(words: readonly string[]): Promise<number> {
  const named = words[0] !== undefined && !words[0].startsWith('-')
  const name = named ? words[0]! : 'start'
  const rest = named ? words.slice(1) : words
  if (words[0] === '--version') return print(HEARTH_VERSION)
  if (name === 'help') return print(rest[0] === undefined ? overview() : await helpOf(rest[0]))
  if (words[0] === '--help' || words[0] === '-h') return print(overview())
  if (rest.includes('--help') || rest.includes('-h')) return print(await helpOf(name))
  return (await load(name)).run([...rest])
}

function print(text: string): number {
  console.log(text)
  return 0
}

async function helpOf(name: string): Promise<string> {
  return commandHelp(name, await load(name))
}

function load(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry) return entry.load()
  const meant = nearest(name, Object.keys(COMMANDS))
  throw new UsageError(`There is no command ${name}${meant ? `; did you mean ${meant}?` : '.'} See: hearth --help`)
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(21)}${summary}`)
  return `Hearth ${HEARTH_VERSION}, a Matrix homeserver

Usage: hearth [command] [options]

Commands:
${lines.join('\n')}

hearth COMMAND --help explains a command and its options.
From a checkout: npm start -- --config FILE, and npm run hearth COMMAND -- [options].`
}

/** Renders errors that the operator can fix as one line, bugs with their stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigError) return `Hearth cannot use this configuration:\n${error.message}`
  if (error instanceof UsageError || error instanceof CommandError) return error.message
  return explainError(error) ?? `This is a bug in Hearth: ${(error as Error).stack ?? error}`
}
