import { v1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { defineCommand } from '../command.ts'
import { ADMIN_OPTIONS, defineAct, LIST_OPTIONS, pageOf } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { columns, print, time } from './print.ts'

const PATH = v1('/federation/destinations')

/** A server to which this one sends, in the form of Synapse's admin API. */
type Destination = {
  destination: string
  failure_ts: number | null
  retry_last_ts: number
  retry_interval: number
}

export const federationStatusCommand = defineCommand({
  argument: '[SERVER]',
  about: 'Lists the servers to which this one sends, those that fail first, or only those whose name contains SERVER.',
  options: {
    ...ADMIN_OPTIONS,
    ...LIST_OPTIONS,
  },
  examples: [
    ['federation status', 'which servers cannot be reached'],
    ['federation status matrix.org --json', 'one server, in a script'],
  ],
  async run({ config: configFile, json, ...page }, server) {
    const query = new URLSearchParams({
      ...{ ...pageOf(page), order_by: 'failure_ts', dir: 'f' },
      ...(server !== undefined && { destination: server }),
    })
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<{ destinations: Destination[]; total: number }>('GET', `${PATH}?${query}`),
    )
    print(list, { json, describe: describeStatus })
    return 0
  },
})

export const retryFederationCommand = defineAct({
  command: 'federation retry',
  about: 'Sends to a server again at once, without waiting for the next attempt.',
  argument: 'SERVER',
  example: 'matrix.org',
  purpose: 'when a server that was down is back',
  async perform({ request }, server) {
    const answer = await request('POST', `${PATH}/${encodeURIComponent(server)}/reset_connection`, {})
    return { answer, done: `The next attempt to reach ${server} begins now.` }
  },
})

function describeStatus({ destinations, total }: { destinations: Destination[]; total: number }): string {
  const rows = destinations.map(({ destination, failure_ts, retry_last_ts, retry_interval }) => [
    ...[destination, failure_ts === null ? 'reached' : 'fails', time(failure_ts), time(retry_last_ts)],
    failure_ts === null ? '-' : time(retry_last_ts + retry_interval),
  ])
  return `${columns(['server', 'state', 'fails since', 'last attempt', 'next attempt'], rows)}\n${destinations.length} of ${total}`
}
