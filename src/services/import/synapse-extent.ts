import type { SynapseDatabase } from '../../infra/synapse/synapse-database.ts'
import type { SynapseExtent } from './import-step.ts'

/** Tables whose numbers clients or servers may know, with the column. */
const STREAMS = [
  ['events', 'stream_ordering'],
  ['device_inbox', 'stream_id'],
  ['device_lists_stream', 'stream_id'],
  ['device_lists_outbound_pokes', 'stream_id'],
  ['account_data', 'stream_id'],
  ['room_account_data', 'stream_id'],
  ['receipts_linearized', 'stream_id'],
] as const

/** Reads the ranges of Synapse's numbers. */
export async function readExtent(main: SynapseDatabase): Promise<SynapseExtent> {
  const [range] = await main.query<{ first: number | null; last: number | null }>(
    'select min(stream_ordering) as first, max(stream_ordering) as last from events',
  )
  const highest = await main.query<{ last: number | null }>(
    STREAMS.map(([table, column]) => `select max(${column}) as last from ${table}`).join(' union all '),
  )
  return {
    lastOrdering: Math.max(range?.last ?? 0, 0),
    nidShift: Math.max(-(range?.first ?? 0), 0) + 1,
    lastPosition: Math.max(0, ...highest.map(({ last }) => last ?? 0)),
  }
}

/** Tables that change whenever Synapse does something. */
const CHANGING = [
  ['events', 'stream_ordering'],
  ['access_tokens', 'id'],
  ['device_inbox', 'stream_id'],
  ['receipts_linearized', 'stream_id'],
  ['account_data', 'stream_id'],
  ['devices', undefined],
  ['e2e_one_time_keys_json', undefined],
  ['users', undefined],
] as const

/** Returns a text that differs once Synapse has done something. */
export async function fingerprintOf(main: SynapseDatabase, serverName: string): Promise<string> {
  const counts = await main.query<{ name: string; count: number; last: number | null }>(
    CHANGING.map(
      ([table, column]) =>
        `select '${table}' as name, count(*) as count, ${column === undefined ? 'null' : `max(${column})`} as last from ${table}`,
    ).join(' union all '),
  )
  return [serverName, ...counts.map(({ name, count, last }) => `${name} ${count} ${last ?? 0}`)].join(', ')
}
