import { type Config, ConfigError, loadConfig } from '../../config.ts'
import { isServerName, type ServerName } from '../../core/ids.ts'
import { CONFIG_OPTION, defineCommand, UsageError } from '../command.ts'
import { checkCalls } from './calls.ts'
import { checkClients } from './clients.ts'
import { checkDatabase } from './database.ts'
import { checkFederation } from './federation.ts'
import { checkPeer } from './federation-peer.ts'
import { type Finding, good, problem } from './finding.ts'
import { checkListeners } from './listeners.ts'
import { checkMachine } from './machine.ts'
import { checkMedia } from './media.ts'
import { checkScanner } from './scanner.ts'
import { checkSpamService } from './spam-checks.ts'

const MARKS = { good: '✓', warning: '!', problem: '✗' }

export const doctor = defineCommand({
  about:
    'Checks the configuration, the machine, the listeners, the database, the media store and its scanner, and what clients and other servers need. Says how to fix each problem. The exit code is 1 when there is a problem. Run it on the machine of the server, while the server runs. With --federation NAME it instead tests the way to another homeserver and back, and with --calls everything that calls need.',
  options: {
    ...CONFIG_OPTION,
    federation: { type: 'string', value: 'NAME', about: 'another homeserver, to test federation with it' },
    calls: { type: 'boolean', about: 'test calls: LiveKit, its webhooks, what clients find, and TURN servers' },
    'token-file': {
      type: 'string',
      value: 'FILE',
      about: 'with --calls: a file with the access token of a user, to try what clients do',
    },
  },
  examples: [
    ['doctor', 'check an installation without configuration'],
    ['doctor --config hearth.yaml', 'check an installation with a configuration'],
    [
      'doctor --config hearth.yaml --federation matrix.org',
      'find out why a server is unreachable, or cannot reach yours',
    ],
    ['doctor --config hearth.yaml --calls', 'find out why calls do not work'],
  ],
  async run({ config: configFile, federation: peer, calls = false, 'token-file': tokenFile }) {
    if (tokenFile !== undefined && !calls) throw new UsageError('--token-file needs --calls')
    if (peer !== undefined && !isServerName(peer)) throw new UsageError(`${peer} is not a valid server name`)
    const counts = { good: 0, warning: 0, problem: 0 }
    for await (const { title, findings } of examine({ configFile, peer, calls: calls ? { tokenFile } : undefined })) {
      console.log(`\n${title}`)
      for (const finding of findings) {
        counts[finding.level]++
        console.log(render(finding))
      }
    }
    console.log(`\n${counted(counts.problem, 'problem')}, ${counted(counts.warning, 'warning')}`)
    return counts.problem === 0 ? 0 : 1
  },
})

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

type Wanted = {
  configFile: string | undefined
  peer: ServerName | undefined
  calls: { tokenFile: string | undefined } | undefined
}

async function* examine({ configFile, peer, calls }: Wanted): AsyncGenerator<{ title: string; findings: Finding[] }> {
  const config = tryConfig(configFile)
  if (config instanceof ConfigError) {
    const findings = config.message
      .split('\n')
      .map((line) => problem(line, 'hearth generate-config explains every key.'))
    return yield { title: 'Configuration', findings }
  }
  yield { title: 'Configuration', findings: [good(configFile ?? 'No file: defaults and environment variables')] }
  if (peer !== undefined) return yield { title: `Federation with ${peer}`, findings: await checkPeer(config, peer) }
  if (calls) {
    const { findings, running } = await checkListeners(config)
    yield { title: 'Listeners', findings }
    return yield* await checkCalls(config, { running, ...calls })
  }
  yield { title: 'Machine', findings: await checkMachine(config, false) }
  const { findings, running } = await checkListeners(config)
  yield { title: 'Listeners', findings }
  yield { title: 'Database', findings: await checkDatabase(config, running) }
  yield { title: 'Media', findings: [...(await checkMedia(config, running)), ...(await checkScanner(config, running))] }
  yield { title: 'Clients', findings: [...(await checkClients(config, running)), ...(await checkSpamService(config))] }
  yield { title: 'Federation', findings: await checkFederation(config, running) }
}

function tryConfig(configFile: string | undefined): Config | ConfigError {
  try {
    return loadConfig({ configFile })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

function render(finding: Finding): string {
  const line = `  ${MARKS[finding.level]} ${finding.what}`
  return finding.level === 'good' ? line : `${line}\n    → ${finding.fix}`
}
