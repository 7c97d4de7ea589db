import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { CommandError } from './command.ts'

/** The first line of `file` or, without one, what is typed (unseen, and twice) in a terminal or else the first line of standard input. Throws CommandError when it is empty or the two differ. */
export async function readPassword(file: string | undefined): Promise<string> {
  const password = file === undefined ? await readFromUser() : firstLine(readFileSync(file, 'utf8'))
  if (password === '') throw new CommandError('The password is empty.')
  return password
}

/** Asks in a terminal; elsewhere there is nobody to ask: CommandError with `otherwise`. */
export async function ask(question: string, otherwise: string): Promise<string> {
  if (!process.stdin.isTTY) throw new CommandError(otherwise)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(question)).trim()
  } finally {
    terminal.close()
  }
}

async function readFromUser(): Promise<string> {
  if (!process.stdin.isTTY) return firstLine(await text(process.stdin))
  const password = await askUnseen('Password: ')
  if (password !== (await askUnseen('Again: '))) throw new CommandError('The two passwords differ.')
  return password
}

/** readline writes what is typed to its output, which here goes nowhere. */
async function askUnseen(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  const cancelled = new Promise<never>((_, reject) => {
    terminal.once('SIGINT', () => reject(new CommandError('\nCancelled.')))
  })
  try {
    return await Promise.race([terminal.question(''), cancelled])
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

function firstLine(content: string): string {
  return content.split(/\r?\n/, 1)[0]!
}
