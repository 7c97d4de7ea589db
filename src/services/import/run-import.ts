import { beginImport, findImport, finishImport, loadImportSteps, moveBookmark } from '../../storage/import/imports.ts'
import { ACCOUNT_STEPS, SIGN_IN_STEPS } from './import-accounts.ts'
import { DELIVERY_STEPS } from './import-delivery.ts'
import { DEVICE_STEPS, TOKEN_STEPS } from './import-devices.ts'
import { MAS_ACCOUNT_STEPS } from './import-mas-accounts.ts'
import { MAS_SESSION_STEPS } from './import-mas-sessions.ts'
import { MEDIA_STEPS } from './import-media.ts'
import { MAS_PUSH_STEPS, PUSH_STEPS } from './import-push.ts'
import { createRoomStep } from './import-rooms.ts'
import { ROOM_STEPS } from './import-rooms-beside.ts'
import { SERVER_STEPS } from './import-server.ts'
import type { ImportContext, ImportStep } from './import-step.ts'
import { masFingerprint } from './mas-source.ts'
import { fingerprintOf } from './synapse-extent.ts'

/** How far a step is: rows of Synapse that were read, those that were stored, and all of them. */
export type StepProgress = { name: string; read: number; stored: number; total: number | undefined; isDone: boolean }

/** Synapse's database has changed since the import began. The message says what to do. */
export class ChangedSourceError extends Error {
  override readonly name = 'ChangedSourceError'
}

/** Returns the steps in their order: rows that others refer to come first. */
export function importSteps({ mas, synapse }: Pick<ImportContext, 'mas' | 'synapse'>): ImportStep[] {
  const signIn = mas ? MAS_ACCOUNT_STEPS : SIGN_IN_STEPS
  const tokens = synapse.usesMas ? [] : TOKEN_STEPS
  const push = synapse.usesMas ? MAS_PUSH_STEPS : PUSH_STEPS
  return [
    ...[...SERVER_STEPS, ...ACCOUNT_STEPS, ...signIn],
    ...[...DEVICE_STEPS, ...(mas ? MAS_SESSION_STEPS : tokens), ...push],
    ...[createRoomStep(), ...ROOM_STEPS, ...DELIVERY_STEPS, ...MEDIA_STEPS],
  ]
}

/**
 * Imports everything, or continues an import that was interrupted: each batch and its bookmark are one transaction.
 * Throws ChangedSourceError.
 */
export async function runImport(context: ImportContext, report: (progress: StepProgress) => void): Promise<void> {
  const { database, now } = context
  const fingerprint = await fingerprintOfSources(context)
  const known = await findImport(database)
  if (!known) await database.write((tx) => beginImport(tx, { fingerprint, now }))
  else if (known.finished_ts === null && known.fingerprint !== fingerprint) {
    throw new ChangedSourceError(
      'Synapse has changed its database since the import began, so the import cannot continue. Stop Synapse, and import again into an empty database.',
    )
  }
  for (const step of importSteps(context)) await runStep(context, step, report)
  await database.write((tx) => finishImport(tx, context.now))
}

/** Returns a text that differs once Synapse or the Matrix Authentication Service has done something. */
export async function fingerprintOfSources(context: ImportContext): Promise<string> {
  const { main, serverName } = context
  return [await fingerprintOf(main, serverName), ...(context.mas ? [await masFingerprint(context.mas)] : [])].join()
}

async function runStep(
  context: ImportContext,
  step: ImportStep,
  report: (progress: StepProgress) => void,
): Promise<void> {
  const { database } = context
  const known = (await loadImportSteps(database)).get(step.name)
  const progress: StepProgress = {
    name: step.name,
    read: known?.rows_read ?? 0,
    stored: known?.rows_stored ?? 0,
    total: await step.count?.(context),
    isDone: known?.is_done ?? false,
  }
  if (progress.isDone) return report(progress)
  let bookmark: unknown = known ? JSON.parse(known.bookmark) : null
  for (;;) {
    const batch = await step.next(context, bookmark)
    bookmark = batch ? batch.bookmark : bookmark
    const stored = await database.write(async (tx) => {
      const rows = batch ? await batch.write(tx) : 0
      const place = { step: step.name, bookmark: JSON.stringify(bookmark), is_done: batch === undefined }
      await moveBookmark(tx, { ...place, rows_read: batch?.read ?? 0, rows_stored: rows })
      return rows
    })
    progress.read += batch?.read ?? 0
    progress.stored += stored
    progress.isDone = batch === undefined
    report(progress)
    if (!batch) return
  }
}
