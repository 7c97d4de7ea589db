import type { App } from '../../../app.ts'
import { type Loop, repeat } from '../../../infra/concurrency/repeat.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { AuditRow } from '../../../storage/schema/administration.ts'
import {
  type AuditQuery,
  deleteAuditEntries,
  insertAuditEntry,
  listAuditEntries,
} from '../../../storage/users/audit-log.ts'

/** An act of an administrator; `details` without secrets. */
export type AdminAct = Pick<AuditRow, 'actor' | 'action' | 'target' | 'address'> & {
  details: Readonly<Record<string, unknown>>
}

const SWEEP_MS = 60 * 60_000
const MAX_DETAILS_BYTES = 4096
const MAX_VALUE_CHARACTERS = 200
const MAX_NAME_CHARACTERS = 512

/**
 * Runs an act of an administrator with an app whose first successful write also adds the act to the audit log, in the
 * same transaction. An act that writes by other ways is recorded when it has succeeded, or failed after it has changed a
 * room. One that fails without a write is not recorded.
 */
export async function recordAct<AnApp extends Acting, Result>(
  app: AnApp,
  act: AdminAct,
  perform: (app: AnApp) => Promise<Result>,
): Promise<Result> {
  const entry = { ...rowOf(act), acted_ts: app.clock.now() }
  const entered = { isTried: false, isDone: false }
  const write: Database['write'] = async (work) => {
    if (entered.isTried) return app.database.write(work)
    entered.isTried = true
    try {
      const result = await app.database.write(async (tx) => {
        await insertAuditEntry(tx, entry)
        return work(tx)
      })
      entered.isDone = true
      return result
    } finally {
      entered.isTried = entered.isDone
    }
  }
  const rooms = app.rooms && noting(app.rooms)
  const enter = () => app.database.write((tx) => insertAuditEntry(tx, entry))
  const within = { ...app, database: { ...app.database, write }, ...(rooms && { rooms }) }
  const result = await perform(within).catch(async (error) => {
    if (rooms?.areChanged() && !entered.isDone) await enter()
    throw error
  })
  if (!entered.isDone) await enter()
  return result
}

type Acting = Pick<App, 'database' | 'clock'> & Partial<Pick<App, 'rooms'>>

/** Returns room transactions that know whether a command has changed a room. */
function noting(rooms: App['rooms']): App['rooms'] & { areChanged(): boolean } {
  let areChanged = false
  const changesOf = ({ events, redactions, writes }: LockedRoom) => events.length + redactions.length + writes.length
  return {
    ...rooms,
    areChanged: () => areChanged,
    async run(roomId, command, options) {
      let isChange = false
      const result = await rooms.run(
        roomId,
        async (room) => {
          const before = changesOf(room)
          const done = await command(room)
          isChange = changesOf(room) > before
          return done
        },
        options,
      )
      areChanged ||= isChange
      return result
    },
  }
}

/**
 * As `recordAct`, for a caller whom only the act itself authenticates: its first writes may come before that, and
 * nothing is recorded of an act that fails.
 */
export async function recordWhenDone<AnApp extends Pick<App, 'database' | 'clock'>, Result>(
  app: AnApp,
  act: AdminAct,
  perform: (app: AnApp) => Promise<Result>,
): Promise<Result> {
  const result = await perform(app)
  await app.database.write((tx) => insertAuditEntry(tx, { ...rowOf(act), acted_ts: app.clock.now() }))
  return result
}

/** Returns a page of the audit log, without entries that are too old to be kept. */
export function listAudited(
  app: Pick<App, 'database' | 'clock' | 'config'>,
  query: Omit<AuditQuery, 'since'>,
): Promise<AuditRow[]> {
  return listAuditEntries(app.database, { ...query, since: oldest(app) })
}

/** Deletes entries of the audit log that are too old, now and every hour until the server stops. */
export function startAuditLog(app: App): Loop {
  const options = { every: SWEEP_MS, failure: 'sweep of audit log failed' }
  return repeat(app, options, () => app.database.write((tx) => deleteAuditEntries(tx, oldest(app))))
}

function oldest({ clock, config }: Pick<App, 'clock' | 'config'>): number {
  return clock.now() - config.audit_log.keep
}

function rowOf({ actor, action, target, address, details }: AdminAct) {
  const cut = (text: string) => storableText(text.slice(0, MAX_NAME_CHARACTERS))
  return { actor, action, target: target === null ? null : cut(target), address, details: textOf(details) }
}

/** Long values are cut first, and left out if there are too many of them. */
function textOf(details: AdminAct['details']): string {
  const short = JSON.stringify(details, (_key, value) =>
    typeof value === 'string' && value.length > MAX_VALUE_CHARACTERS
      ? `${value.slice(0, MAX_VALUE_CHARACTERS)}…`
      : value,
  )
  if (Buffer.byteLength(short) <= MAX_DETAILS_BYTES) return storableText(short)
  return storableText(
    JSON.stringify(
      Object.fromEntries(
        Object.keys(details)
          .slice(0, 20)
          .map((key) => [key.slice(0, 100), '…']),
      ),
    ),
  )
}
