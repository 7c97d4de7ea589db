import { writeFileSync } from 'node:fs'
import { exampleConfig } from '../config/example.ts'
import { CommandError, defineCommand } from './command.ts'

export const generateConfig = defineCommand({
  about: 'Prints a configuration file in which every key is explained and shown with its default.',
  options: {
    'server-name': { type: 'string', value: 'NAME', about: 'set server_name' },
    output: { type: 'string', value: 'FILE', about: 'write to a new file, not to standard output' },
  },
  examples: [
    ['generate-config', 'look at every key'],
    ['generate-config --server-name example.org --output hearth.yaml', 'begin a configuration of your own'],
  ],
  async run({ 'server-name': serverName, output }) {
    const text = exampleConfig(serverName === undefined ? {} : { server_name: serverName })
    if (output === undefined) process.stdout.write(text)
    else writeNew(output, text)
    return 0
  },
})

/** Not over an existing file: it may be somebody's configuration. May hold secrets later, so others may not read it. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new CommandError(`${file} exists already. Name another file, or move that one away.`)
  }
}
