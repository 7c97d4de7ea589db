import { writeFileSync } from 'node:fs'
import { exampleConfig } from '../config/example.ts'
import { CommandError, defineCommand } from './command.ts'

export const generateConfig = defineCommand({
  about: 'Prints a configuration file that explains every key and shows its default.',
  options: {
    'server-name': { type: 'string', value: 'NAME', about: 'set server_name' },
    output: { type: 'string', value: 'FILE', about: 'write to a new file instead of standard output' },
  },
  examples: [
    ['generate-config', 'read about every key'],
    ['generate-config --server-name example.org --output hearth.yaml', 'start your own configuration'],
  ],
  async run({ 'server-name': serverName, output }) {
    const text = exampleConfig(serverName === undefined ? {} : { server_name: serverName })
    if (output === undefined) process.stdout.write(text)
    else writeNew(output, text)
    return 0
  },
})

/** Writes only a new file: an existing one may be a configuration in use. It may hold secrets later, so only its owner can read it. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new CommandError(`${file} already exists. Name another file, or move the existing one.`)
  }
}
