import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { CONFIG_OPTION, defineCommand, UsageError } from './command.ts'

const MAX_PROCESSES = 1000

export const start = defineCommand({
  about:
    'Starts the server. SIGTERM or SIGINT (Ctrl-C) stops it gracefully. Without a configuration it serves http://localhost:8008 and keeps all data in ./data.',
  options: {
    ...CONFIG_OPTION,
    processes: {
      type: 'string',
      value: 'N',
      about:
        'how many processes share PostgreSQL and the ports; auto: one for each processor. SIGHUP restarts them in turn',
    },
  },
  examples: [
    ['start', 'try it'],
    ['start --config hearth.yaml', 'run with your own configuration'],
    ['start --config hearth.yaml --processes auto', 'use all processors'],
    ['generate-config --output hearth.yaml', 'create a configuration file'],
  ],
  async run({ config: configFile, processes: given }) {
    const processes = given === undefined ? 1 : parseProcesses(given)
    // Loaded late: the supervisor needs little memory.
    if (given !== undefined && !cluster.isWorker) return (await import('./supervise.ts')).supervise(processes)
    return (await import('./serve.ts')).serve({ configFile, processes })
  },
})

function parseProcesses(given: string): number {
  if (given === 'auto') return availableParallelism()
  const count = Number(given)
  if (/^\d+$/.test(given) && count >= 1 && count <= MAX_PROCESSES) return count
  throw new UsageError(`--processes is a number from 1 to ${MAX_PROCESSES}, or auto; not ${given}`)
}
