import { setTimeout as pause } from 'node:timers/promises'
import { v1, v2 } from '../../api/admin/admin-fields.ts'
import { loadConfig } from '../../config.ts'
import { type Command, CommandError, defineCommand } from '../command.ts'
import { ADMIN_OPTIONS, defineAct, LIST_OPTIONS, named, pageOf } from './act.ts'
import { type AdminRequest, withAdminApi } from './admin-api.ts'
import { columns, fields, print } from './print.ts'

const POLL_MS = 500

/** A room in a list of the admin API, as far as it is shown. */
type ListedRoom = {
  room_id: string
  name: string | null
  canonical_alias: string | null
  joined_members: number
  joined_local_members: number
  state_events: number
}

type Deletion = { status: string; error?: string; shutdown_room: { kicked_users: string[] } | null }

export const listRoomsCommand = defineCommand({
  about: 'Lists rooms, by name or in another order.',
  options: {
    ...ADMIN_OPTIONS,
    search: { type: 'string', value: 'TEXT', about: 'only those whose ID, name or alias contains it' },
    order: {
      type: 'string',
      value: 'FIELD',
      about: 'name (the default), joined_members, joined_local_members, state_events, …',
    },
    ...LIST_OPTIONS,
  },
  examples: [
    ['room list --order joined_members --limit 10', 'the largest rooms'],
    ['room list --search support --json', 'in a script'],
  ],
  async run({ config: configFile, json, search, order = 'name', ...page }) {
    const query = new URLSearchParams({
      ...{ ...pageOf(page), order_by: order },
      ...(search !== undefined && { search_term: search }),
    })
    const list = await withAdminApi(loadConfig({ configFile }), ({ request }) =>
      request<{ rooms: ListedRoom[]; total_rooms: number }>('GET', v1(`/rooms?${query}`)),
    )
    print(list, { json, describe: describeList })
    return 0
  },
})

export const showRoomCommand = forRoom({
  verb: 'show',
  about: 'Shows a room.',
  purpose: 'everything about one room',
  async perform(request, roomId) {
    const answer = await request('GET', v1(`/rooms/${encodeURIComponent(roomId)}`))
    return { answer, done: fields(answer) }
  },
})

export const blockRoomCommand = forRoom({
  verb: 'block',
  about: 'Blocks a room: nobody of this server can join it or be invited. Members stay. The server need not know it.',
  purpose: 'for a room that must not come back',
  perform: async (request, roomId) => ({
    answer: await request('PUT', v1(`/rooms/${encodeURIComponent(roomId)}/block`), { block: true }),
    done: `${roomId} is blocked.`,
  }),
})

export const unblockRoomCommand = forRoom({
  verb: 'unblock',
  about: 'Ends the block of a room.',
  purpose: 'after block',
  perform: async (request, roomId) => ({
    answer: await request('PUT', v1(`/rooms/${encodeURIComponent(roomId)}/block`), { block: false }),
    done: `${roomId} is no longer blocked.`,
  }),
})

export const deleteRoomCommand = defineCommand({
  argument: 'ROOM_ID',
  about:
    'Deletes a room: its local users leave, and its data are deleted. If the command is interrupted, the server continues.',
  options: {
    ...ADMIN_OPTIONS,
    block: { type: 'boolean', about: 'nobody can join it again' },
    'keep-data': { type: 'boolean', about: 'only remove the local users' },
    force: { type: 'boolean', about: 'delete the data even if some users could not be removed' },
    'new-room-user': {
      type: 'string',
      value: 'USER_ID',
      about: 'create a new room as this user, which the members join',
    },
    message: { type: 'string', value: 'TEXT', about: 'the first message of that room' },
  },
  examples: [
    ["room delete '!abc:example.org' --block", 'a room that must not come back'],
    ["room delete '!abc:example.org' --new-room-user @admin:example.org --message 'Moved.'", 'with a replacement'],
  ],
  async run({ config: configFile, json, block = false, force = false, message, ...values }, room) {
    const roomId = named(room, 'room delete', 'ROOM_ID')
    const body = {
      ...{ block, purge: !values['keep-data'], force_purge: force, message },
      new_room_user_id: values['new-room-user'],
    }
    const deletion = await withAdminApi(loadConfig({ configFile }), ({ request }) => deleteRoom(request, roomId, body))
    print(deletion, { json, describe: () => `${roomId} is deleted.` })
    return 0
  },
})

/** Begins the deletion and waits for its end. */
async function deleteRoom(request: AdminRequest, roomId: string, body: object): Promise<Deletion> {
  const { delete_id: id } = await request('DELETE', v2(`/rooms/${encodeURIComponent(roomId)}`), body)
  for (;;) {
    const path = v2(`/rooms/delete_status/${encodeURIComponent(id)}`)
    const deletion = await request<Deletion>('GET', path)
    if (deletion.status === 'complete') return deletion
    if (deletion.status === 'failed' || deletion.status === 'cancelled')
      throw new CommandError(`The deletion failed: ${deletion.error ?? 'see the log of the server'}.`)
    await pause(POLL_MS)
  }
}

type Perform = (request: AdminRequest, roomId: string) => Promise<{ answer: unknown; done: string }>

function forRoom(act: { verb: string; about: string; purpose: string; perform: Perform }): Command {
  return defineAct({
    ...{ command: `room ${act.verb}`, about: act.about, argument: 'ROOM_ID', purpose: act.purpose },
    example: "'!abc:example.org'",
    perform: ({ request }, roomId) => act.perform(request, roomId),
  })
}

function describeList({ rooms, total_rooms }: { rooms: ListedRoom[]; total_rooms: number }): string {
  const rows = rooms.map((room) => [
    ...[room.room_id, room.name ?? room.canonical_alias, room.joined_members, room.joined_local_members],
    room.state_events,
  ])
  return `${columns(['room', 'name', 'members', 'local', 'state events'], rows)}\n${rooms.length} of ${total_rooms}`
}
