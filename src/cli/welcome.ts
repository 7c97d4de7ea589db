import { isLoopback } from '../config/complete.ts'
import type { Config } from '../config.ts'
import type { RunningServer } from '../server.ts'

/** Returns the text that the operator sees once the server runs: addresses and next steps. */
export function welcome(config: Config, addresses: RunningServer['addresses'], configFile: string | undefined): string {
  const configured = configFile === undefined ? [] : ['--config', configFile]
  const command = (name: string, ...options: string[]) =>
    ['npm run hearth', name, ...(options.length > 0 ? ['--', ...options] : [])].join(' ')
  const facts = [
    ['For clients', `${config.public_base_url}   (the homeserver to name in Element or another Matrix client)`],
    ['Listens on', addresses.map(({ bind, port, tls }) => `${bind} port ${port}${tls ? ' (TLS)' : ''}`).join(', ')],
    [
      'Data',
      config.database.url === undefined
        ? `${config.data_dir} (embedded database)`
        : `PostgreSQL, and ${config.data_dir}`,
    ],
    ['Registration', describeRegistration(config)],
    ['First account', `${command('user create', '--admin', ...configured)}   (in another terminal)`],
    ['Check-up', command('doctor', ...configured)],
  ]
  const lines = facts.map(([name, fact]) => `  ${name!.padEnd(15)}${fact}`)
  return `\nHearth runs as ${config.server_name}. Ctrl-C stops it.\n\n${lines.join('\n')}\n${warnings(config)}\n`
}

function describeRegistration({ registration }: Config): string {
  if (!registration.enabled) return 'closed; registration.enabled opens it'
  return registration.requires_token ? 'open with a registration token' : 'open'
}

function warnings({ registration, listeners }: Config): string {
  const reachable = listeners.some(({ bind }) => !isLoopback(bind))
  if (!registration.enabled || registration.requires_token || !reachable) return ''
  return '\n  Anyone who can reach this server can create an account. Open registration attracts spam.\n  Set registration.requires_token to require a token.\n'
}
