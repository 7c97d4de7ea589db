import { loadConfig } from '../../config.ts'
import { CONFIG_OPTION, type Command, defineCommand, UsageError } from '../command.ts'
import { type AdminApi, withAdminApi } from './admin-api.ts'
import { print } from './print.ts'

/** Options of all commands that use the admin API. */
export const ADMIN_OPTIONS = {
  ...CONFIG_OPTION,
  json: { type: 'boolean', about: 'print JSON' },
} as const

type Act = {
  /** The whole name of the command, such as `user lock`. */
  command: string
  about: string
  /** The object, such as `USERNAME`. */
  argument: string
  example: string
  purpose: string
  /** Performs it on the named object. Returns what `--json` prints, and a sentence about it. */
  perform(api: AdminApi, name: string): Promise<{ answer: unknown; done: string }>
}

/** Declares a command that does one thing to one object and needs no further options. */
export function defineAct({ command, about, argument, example, purpose, perform }: Act): Command {
  return defineCommand({
    argument,
    about,
    options: ADMIN_OPTIONS,
    examples: [[`${command} ${example}`, purpose]],
    async run({ config: configFile, json }, name) {
      const object = named(name, command, argument)
      const { answer, done } = await withAdminApi(loadConfig({ configFile }), (api) => perform(api, object))
      print(answer, { json, describe: () => done })
      return 0
    },
  })
}

/** Returns the argument of a command. Throws UsageError if it is missing. */
export function named(name: string | undefined, command: string, argument: string): string {
  if (name === undefined) throw new UsageError(`${argument} is missing: hearth ${command} ${argument}`)
  return name
}

const DEFAULT_LIMIT = '100'

/** Options of lists. */
export const LIST_OPTIONS = {
  from: { type: 'string', value: 'NUMBER', about: 'how many to skip' },
  limit: { type: 'string', value: 'NUMBER', about: `how many to list at most; absent: ${DEFAULT_LIMIT}` },
} as const

/** Returns the page that the options of a list name, as parameters of the query. Throws UsageError. */
export function pageOf({ from = '0', limit = DEFAULT_LIMIT }: { from?: string; limit?: string }) {
  return { from: wholeNumber('from', from), limit: wholeNumber('limit', limit) }
}

function wholeNumber(option: string, text: string): string {
  if (/^\d{1,15}$/.test(text)) return String(Number(text))
  throw new UsageError(`--${option}: expected a whole number, not ${text}`)
}
