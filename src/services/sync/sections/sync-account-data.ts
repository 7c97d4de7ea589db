import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type AccountDataRow, loadAccountData, loadAccountDataOfRooms } from '../../../storage/users/account-data.ts'
import { pushRulesOf } from '../../users/settings/push-rules.ts'
import type { SyncViewer } from './sync-room.ts'

export type AccountDataEvent = { type: string; content: object }

/** Account data for /sync; that of rooms by room. */
export type SyncedAccountData = { global: AccountDataEvent[]; rooms: Map<RoomId, AccountDataEvent[]> }

const PUSH_RULES = 'm.push_rules'

/** Returns a user's global account data, and the push rules. */
export async function globalAccountData(app: Pick<App, 'database'>, viewer: SyncViewer): Promise<AccountDataEvent[]> {
  const rows = await loadAccountDataOfRooms(app.database, viewer.userId, [''])
  return assemble(viewer, [...rows, await pushRules(app, viewer)]).global
}

/** Returns all account data of rooms that are new to the client. */
export async function accountDataOfRooms(
  app: Pick<App, 'database'>,
  viewer: SyncViewer,
  roomIds: readonly RoomId[],
): Promise<SyncedAccountData['rooms']> {
  return assemble(viewer, await loadAccountDataOfRooms(app.database, viewer.userId, roomIds)).rooms
}

/**
 * Returns the account data that stream rows changed; removed entries are empty. Includes all entries of rooms that are
 * new to the client.
 */
export async function changedAccountData(
  app: Pick<App, 'database'>,
  viewer: SyncViewer,
  rows: readonly StreamRow[],
  newRooms: ReadonlySet<RoomId>,
): Promise<SyncedAccountData> {
  const known = await loadAccountDataOfRooms(app.database, viewer.userId, [...newRooms])
  const keys = new Map<string, { roomId: RoomId | ''; type: string }>()
  for (const row of rows) {
    if (row.kind !== 'account_data' || row.user_id !== viewer.userId || row.detail === null) continue
    if (row.room_id !== null && newRooms.has(row.room_id)) continue
    keys.set(`${row.room_id ?? ''}\0${row.detail}`, { roomId: row.room_id ?? '', type: row.detail })
  }
  const changedRules = keys.delete(`\0${PUSH_RULES}`)
  const found = await loadAccountData(app.database, viewer.userId, [...keys.values()])
  for (const { room_id, type } of found) keys.delete(`${room_id}\0${type}`)
  const removed = [...keys.values()].map(({ roomId, type }) => ({ room_id: roomId, type, content: '{}' }))
  return assemble(viewer, [...known, ...found, ...removed, ...(changedRules ? [await pushRules(app, viewer)] : [])])
}

async function pushRules(app: Pick<App, 'database'>, viewer: SyncViewer): Promise<AccountDataRow> {
  return { room_id: '', type: PUSH_RULES, content: JSON.stringify({ global: await pushRulesOf(app, viewer.userId) }) }
}

function assemble({ filter }: SyncViewer, rows: readonly AccountDataRow[]): SyncedAccountData {
  const result: SyncedAccountData = { global: [], rooms: new Map() }
  for (const { room_id, type, content } of rows) {
    const event = { type, content: JSON.parse(content) as object }
    if (room_id === '') {
      if (filter.takesAccountData(event)) result.global.push(event)
    } else if (filter.takesRoomAccountData(event, room_id)) {
      const ofRoom = result.rooms.get(room_id)
      if (ofRoom) ofRoom.push(event)
      else result.rooms.set(room_id, [event])
    }
  }
  return result
}
