import type { App } from '../../app.ts'
import type { AlertRow } from '../../storage/schema/figures.ts'
import type { AlertKind } from './alert-conditions.ts'

/** The text of an alert: one line, and advice. */
export type AlertText = { title: string; advice: string }

type Described = Pick<AlertRow, 'subject' | 'value'>
type Engine = App['database']['engine']

const TEXTS: Readonly<Record<AlertKind, (alert: Described, engine: Engine) => AlertText>> = {
  disk: ({ subject, value }) => ({
    title: `The disk of ${subject} is ${Math.round(value)} % full`,
    advice:
      'The disk with data_dir or the media is the limit: enlarge it, move media to a bucket (hearth media move), or delete old media. A full disk stops uploads, and the embedded database.',
  }),
  memory: ({ subject, value }) => ({
    title: `${Math.round(value)} % of the memory of ${subject} is used`,
    advice:
      'Memory is the limit: give the machine or container more, lower database.cache_size, or move a process or PostgreSQL to another machine.',
  }),
  event_loop_delay: ({ subject, value }, engine) => ({
    title: `Process ${subject} is ${milliseconds(value)} late`,
    advice:
      engine === 'pglite'
        ? 'The process is the limit: the embedded database runs in it. Move to PostgreSQL, and then start further processes.'
        : 'The process is the limit: start another process with the same database.url, or give the machine more processors.',
  }),
  pool_wait: ({ subject, value }, engine) => ({
    title: `Requests to process ${subject} wait ${milliseconds(value)} for the database`,
    advice:
      engine === 'pglite'
        ? 'The database is the limit: the embedded one has a single connection. Move to PostgreSQL.'
        : 'The database is the limit: look for slow statements and for the CPU and disk of PostgreSQL. If PostgreSQL is idle, raise database.pool_size, or start another process.',
  }),
  queue_age: ({ value }) => ({
    title: `Events, push notifications or jobs wait for ${Math.round(value / 60)} minutes`,
    advice:
      'The server does not keep up with its work: start another process, and look in the log for jobs and transactions that fail. The page about load shows which queue is long.',
  }),
  certificate: ({ value }) => ({
    title: value < 0 ? 'A certificate has expired' : `A certificate expires in ${Math.floor(value)} days`,
    advice:
      'Renew the certificate of the listeners (listeners[].tls) or of the reverse proxy at public_base_url and server_name, and restart what serves it: clients and other servers refuse an expired one.',
  }),
  failing_servers: ({ value }) => ({
    title: `${Math.round(value)} % of the remote servers do not respond`,
    advice:
      'The way to other servers may be broken: run hearth doctor --federation matrix.org, and check DNS, firewall and the clock of this machine.',
  }),
}

/** Returns what an alert says. */
export function alertText(
  { database }: Pick<App, 'database'>,
  { kind, ...alert }: Described & Pick<AlertRow, 'kind'>,
): AlertText {
  const describe = Object.hasOwn(TEXTS, kind) ? TEXTS[kind as AlertKind] : undefined
  // A newer version of Hearth may know more kinds.
  return describe?.(alert, database.engine) ?? { title: kind, advice: '' }
}

function milliseconds(seconds: number): string {
  return `${Math.round(seconds * 1000)} ms`
}
