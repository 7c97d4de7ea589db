import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../config/nearest.ts'

/** One option of a command line, such as `--config FILE`. */
type Option = { type: 'boolean'; about: string } | { type: 'string'; value: string; about: string }
type Options = Readonly<Record<string, Option>>
type Values<O extends Options> = { [Name in keyof O]?: O[Name]['type'] extends 'boolean' ? boolean : string }

/** A command of `hearth`, ready to run. */
export type Command = {
  /** Its arguments, as the help shows them, such as `[USERNAME]`. */
  argument?: string
  /** Its purpose, for its help: one paragraph. */
  about: string
  options: Options
  /** Command lines without `hearth` in front, each with what it is for. */
  examples: readonly (readonly [commandLine: string, purpose: string])[]
  /** Runs it with the words after its name; returns the exit code. */
  run(words: string[]): Promise<number>
}

/** The command line is wrong; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A failure whose message says how to fix it: no stack is shown; exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

export const CONFIG_OPTION = {
  config: { type: 'string', value: 'FILE', about: 'the configuration file; absent: the defaults' },
} as const satisfies Options

/** Declares a command whose `run` receives parsed options, and its one argument if it takes one. Wrong options throw UsageError. */
export function defineCommand<const O extends Options>(
  command: Omit<Command, 'run' | 'options'> & {
    options: O
    run(values: Values<O>, argument: string | undefined): Promise<number>
  },
): Command {
  return {
    ...command,
    run: (words) => {
      const { values, positionals } = parse(words, command.options)
      const surplus = positionals[command.argument ? 1 : 0]
      if (surplus !== undefined) throw new UsageError(`Unexpected argument: ${surplus}`)
      return command.run(values as Values<O>, positionals[0])
    },
  }
}

/** Returns the help of one command. */
export function commandHelp(name: string, { about, argument, options, examples }: Command): string {
  const optionLines = Object.entries(options).map(
    ([option, given]) => [`--${option}${given.type === 'string' ? ` ${given.value}` : ''}`, given.about] as const,
  )
  const width = Math.max(...optionLines.map(([left]) => left.length), 0) + 2
  return [
    `Usage: hearth ${[name, '[options]', argument].filter(Boolean).join(' ')}`,
    about,
    ...(optionLines.length > 0
      ? [['Options:', ...optionLines.map(([l, r]) => `  ${l.padEnd(width)}${r}`)].join('\n')]
      : []),
    ['Examples:', ...examples.flatMap(([line, purpose]) => [`  # ${purpose}`, `  hearth ${line}`])].join('\n'),
  ].join('\n\n')
}

function parse(words: string[], options: Options) {
  try {
    const known: ParseArgsConfig['options'] = Object.fromEntries(
      Object.entries(options).map(([name, { type }]) => [name, { type }]),
    )
    return parseArgs({ args: words, options: known, allowPositionals: true })
  } catch (error) {
    throw new UsageError(describeMistake((error as Error).message, Object.keys(options)))
  }
}

/** parseArgs adds advice about positional arguments that start with a dash: there are none here. */
function describeMistake(message: string, names: readonly string[]): string {
  const unknown = /^Unknown option '--(.+?)'/.exec(message)?.[1]
  const meant = unknown && nearest(unknown, names)
  return `${message.split('. To specify')[0]}${meant ? `; did you mean --${meant}?` : ''}`
}
