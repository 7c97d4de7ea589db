import type { Config, ListenerConfig } from '../config.ts'
import { CommandError } from './command.ts'

/**
 * Returns the configuration of one of several processes that share their listeners. A listener for metrics alone has
 * one port for each process, its own and those that follow, because figures are those of a process. `place`: from 0.
 */
export function configureProcess(config: Config, { processes, place }: { processes: number; place: number }): Config {
  if (processes === 1) return config
  if (config.database.url === undefined) {
    throw new CommandError(
      'The embedded database belongs to one process. Set database.url to a PostgreSQL database, or leave out --processes.',
    )
  }
  const ports = config.listeners.flatMap((listener) => portsOf(listener, processes))
  for (const port of config.listeners.filter(isForEachProcess).flatMap((listener) => portsOf(listener, processes))) {
    if (port > 65_535 || ports.filter((other) => other === port).length > 1) {
      throw new CommandError(
        `Each of the ${processes} processes needs a port for metrics, from the port of the listener onwards, but ${port} is not available. Choose other ports in listeners.`,
      )
    }
  }
  const listeners = config.listeners.map((listener) => ({
    ...listener,
    port: portsOf(listener, processes)[place] ?? listener.port,
  }))
  return { ...config, listeners }
}

function portsOf(listener: ListenerConfig, processes: number): number[] {
  if (!isForEachProcess(listener)) return [listener.port]
  return Array.from({ length: processes }, (_, place) => listener.port + place)
}

function isForEachProcess({ port, serves }: ListenerConfig): boolean {
  return port > 0 && serves.every((what) => what === 'metrics')
}
