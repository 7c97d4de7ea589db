import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { CommandError } from './command.ts'

export const PASSWORD_OPTION = {
  'password-file': { type: 'string', value: 'FILE', about: 'read the password from the first line of FILE' },
} as const

/** Reads a password: the first line of `file`, or typed twice unseen in a terminal, or the first line of standard input. Throws CommandError when it is empty or the two differ. */
export async function readPassword(file: string | undefined): Promise<string> {
  const password = file === undefined ? await readFromUser() : firstLine(readFileSync(file, 'utf8'))
  if (password === '') throw new CommandError('The password is empty.')
  return password
}

/** Prompts in a terminal. Without a terminal throws CommandError with `otherwise`. */
export async function ask(question: string, otherwise: string): Promise<string> {
  if (!process.stdin.isTTY) throw new CommandError(otherwise)
  return (await prompt(question, 'seen')).trim()
}

async function readFromUser(): Promise<string> {
  if (!process.stdin.isTTY) return firstLine(await text(process.stdin))
  const password = await prompt('Password: ', 'unseen')
  if (password !== (await prompt('Again: ', 'unseen'))) throw new CommandError('The two passwords differ.')
  return password
}

/** Ctrl-C and Ctrl-D cancel. */
async function prompt(question: string, typing: 'seen' | 'unseen'): Promise<string> {
  const unseen = typing === 'unseen'
  // readline echoes to its output: discard it.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: unseen ? nowhere : process.stderr, terminal: true })
  const cancelled = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new CommandError(`${unseen ? '' : '\n'}Cancelled.`)))
    terminal.once('SIGINT', () => terminal.close())
  })
  cancelled.catch(() => {})
  try {
    // Only once readline has the terminal, which would echo until then.
    if (unseen) process.stderr.write(question)
    return await Promise.race([terminal.question(unseen ? '' : question), cancelled])
  } finally {
    terminal.close()
    if (unseen) process.stderr.write('\n')
  }
}

function firstLine(content: string): string {
  return content.split(/\r?\n/, 1)[0]!
}
