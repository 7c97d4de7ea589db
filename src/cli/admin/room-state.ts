import { setTimeout as pause } from 'node:timers/promises'
import { hearthV1 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import type { findStateCheck } from '../../services/membership/check-room-state.ts'
import { CommandError, defineCommand } from '../command.ts'
import { ADMIN_OPTIONS, named } from './act.ts'
import { type AdminRequest, withAdminApi } from './admin-api.ts'
import { columns, print } from './print.ts'

const POLL_MS = 500
/** The exit code if the stored state was wrong and still is. */
const IS_WRONG = 1

type Check = Awaited<ReturnType<typeof findStateCheck>>

export const checkStateCommand = defineCommand({
  argument: 'ROOM_ID',
  about:
    'Recomputes the state of a room from its events, and compares it with the stored state and with other servers, each at an event that both know. If the command is interrupted, the server continues.',
  options: {
    ...ADMIN_OPTIONS,
    peers: {
      type: 'string',
      value: 'SERVERS',
      about: 'the servers to ask, separated by commas; absent: the three with most members',
    },
    repair: { type: 'boolean', about: 'replace a stored state that differs from the recomputed one' },
  },
  examples: [
    ["room check-state '!abc:example.org'", 'changes nothing'],
    ["room check-state '!abc:example.org' --peers matrix.org,example.com --json", 'in a script'],
    ["room check-state '!abc:example.org' --repair", 'after the check has found a difference'],
  ],
  async run({ config: configFile, json, peers = '', repair = false }, room) {
    const roomId = named(room, 'room check-state', 'ROOM_ID')
    const body = { peers: peers.split(/[\s,]+/).filter(Boolean), repair }
    const check = await withAdminApi(loadConfig({ configFile }), ({ request }) => checkState(request, roomId, body))
    print(check, { json, describe })
    return check.is_right || check.is_repaired ? 0 : IS_WRONG
  },
})

/** Begins the check and waits for its end. */
async function checkState(request: AdminRequest, roomId: string, body: object): Promise<Check> {
  const path = hearthV1(`/rooms/${encodeURIComponent(roomId)}/check_state`)
  const { task_id: id } = await request<{ task_id: string }>('POST', path, body)
  for (;;) {
    const check = await request<Check>('GET', hearthV1(`/state_checks/${encodeURIComponent(id)}`))
    if (check.status === 'complete') return check
    if (check.status === 'failed') throw new CommandError(`The check failed: ${check.error ?? 'see the log'}.`)
    await pause(POLL_MS)
  }
}

function describe(check: Check): string {
  const { events = 0, wrong_events: wrong = 0, state = [], members = [], summary = [], peers = [] } = check
  const verdict = check.is_right
    ? 'The stored state is the recomputed one.'
    : check.is_repaired
      ? 'The stored state was wrong, and has been replaced.'
      : 'The stored state differs from the recomputed one. Repair it with --repair.'
  const lines = [`${events} events were read. ${verdict}`]
  if (wrong > 0) lines.push(`Events with wrong states: ${wrong}`)
  const rows = state.map(({ type, state_key, stored, recomputed }) => [type, state_key, stored, recomputed])
  if (rows.length > 0)
    lines.push(columns(['type', 'state key', 'stored', 'recomputed'], rows), cut(check.state_total, rows))
  if (members.length > 0) lines.push(`Wrong memberships: ${members.join(' ')}${cut(check.members_total, members)}`)
  if (summary.length > 0) lines.push(`Wrong in the summary: ${summary.join(', ')}`)
  for (const peer of peers) lines.push(...describePeer(peer))
  return lines.filter(Boolean).join('\n')
}

function describePeer(peer: NonNullable<Check['peers']>[number]): string[] {
  if (peer.error !== null) return [`${peer.server}: not compared. ${peer.error}`]
  const { server, event_id, differences, differences_total: total, missing_total: missing } = peer
  const rows = differences.map(({ type, state_key, ours, theirs }) => [type, state_key, ours, theirs])
  return [
    `${server}: ${total} differences before ${event_id}, ${missing} events that this server does not have`,
    ...(rows.length > 0 ? [columns(['type', 'state key', 'ours', 'theirs'], rows), cut(total, rows)] : []),
  ]
}

function cut(total: number | undefined, shown: readonly unknown[]): string {
  return total !== undefined && total > shown.length ? ` … ${total} in all` : ''
}
