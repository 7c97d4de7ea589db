import type { App } from '../../app.ts'
import type { Tx } from '../../storage/database.ts'
import { type NewEdu, queueEdus } from '../../storage/federation-outbox.ts'
import { loadRowsForServers, lockProgress, storeProgress } from '../../storage/federation-progress.ts'
import { forgetUnsharedLists } from '../../storage/remote-devices.ts'
import type { StreamRow } from '../../storage/schema.ts'
import { memberMoves } from './member-moves.ts'
import { devicesForNewServers, tellDevices } from './tell-devices.ts'
import { presenceForNewServers, tellPresence } from './tell-presence.ts'
import { tellReceipts } from './tell-receipts.ts'
import { tellTyping } from './tell-typing.ts'

export type FollowingApp = Pick<App, 'config' | 'database' | 'serverName' | 'clock'>

const ROWS_AT_ONCE = 500

/**
 * Turns what the next rows of the stream say of our users into EDUs for other servers, in one transaction with the position. Returns whether
 * there is more to do for this process; false also while another one does it.
 */
export async function followNextRows(app: FollowingApp): Promise<boolean> {
  return app.database.write(async (tx) => {
    const position = await lockProgress(tx)
    if (position === undefined) return false
    const { rows, to } = await loadRowsForServers(tx, position, ROWS_AT_ONCE)
    if (to <= position) return false
    const edus = await edusOf(app, tx, rows)
    await queueEdus(tx, edus)
    await storeProgress(tx, to)
    return rows.length === ROWS_AT_ONCE
  })
}

async function edusOf(app: FollowingApp, tx: Tx, rows: readonly StreamRow[]): Promise<NewEdu[]> {
  const moves = await memberMoves(tx, app.serverName, rows)
  if (moves.length > 0) await forgetUnsharedLists(tx, moves)
  return [
    ...(await tellTyping(app, tx, rows)),
    ...(await tellReceipts(app, tx, rows)),
    ...(await tellPresence(app, tx, rows)),
    ...(await presenceForNewServers(app, tx, moves)),
    ...(await tellDevices(app, tx, rows)),
    ...(await devicesForNewServers(tx, moves)),
  ]
}
