import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import type { RefusedEvent } from '../../storage/rooms/timeline/refused-events.ts'
import { defineCommand } from '../command.ts'
import { ADMIN_OPTIONS, LIST_OPTIONS, pageOf } from './act.ts'
import { withAdminApi } from './admin-api.ts'
import { columns, print, time } from './print.ts'

type List = { events: Omit<RefusedEvent, 'event_nid'>[]; next_token?: number }

export const listRefusedEventsCommand = defineCommand({
  argument: '[ROOM_ID]',
  about:
    'Lists events that this server refused, with the rule that refused them: of one room or all, the newest first.',
  options: {
    ...ADMIN_OPTIONS,
    outcome: { type: 'string', value: 'OUTCOME', about: 'only those that are rejected, or soft_failed' },
    from: { type: 'string', value: 'TOKEN', about: 'where the page before ended' },
    limit: LIST_OPTIONS.limit,
  },
  examples: [
    ['room rejected-events', 'the newest of all rooms'],
    ["room rejected-events '!abc:example.org' --outcome rejected --json", 'in a script'],
  ],
  async run({ config: configFile, json, outcome, from, limit }, roomId) {
    const query = new URLSearchParams({
      limit: pageOf({ ...(limit !== undefined && { limit }) }).limit,
      ...(from !== undefined && { from: pageOf({ from }).from }),
      ...(outcome !== undefined && { outcome }),
      ...(roomId !== undefined && { room_id: roomId }),
    })
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<List>('GET', hearthV1(`/rejected_events?${query}`)),
    )
    print(list, { json, describe })
    return 0
  },
})

function describe({ events, next_token: next }: List): string {
  const rows = events.map((event) => [
    ...[time(event.origin_server_ts), event.outcome, event.room_id, event.event_id, event.type, event.sender],
    event.reason,
  ])
  const table = columns(['sent', 'outcome', 'room', 'event', 'type', 'sender', 'reason'], rows)
  return next === undefined ? table : `${table}\nOlder ones: --from ${next}`
}
