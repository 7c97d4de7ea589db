import type { ListenerConfig } from '../config.ts'

const EVERY_INTERFACE: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Returns the URL at which this machine reaches a listener, such as http://127.0.0.1:8008. */
export function listenerUrl({ bind, port, tls }: Pick<ListenerConfig, 'bind' | 'port' | 'tls'>): string {
  const host = EVERY_INTERFACE[bind] ?? bind
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
