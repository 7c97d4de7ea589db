import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import type { ServerName, UserId } from '../../../core/ids.ts'
import { deleteContentRules, setContentRules, type Verdict } from '../../../storage/media/content-rules.ts'
import {
  appendServerChanges,
  deleteQuarantinedServer,
  insertQuarantinedServer,
} from '../../../storage/media/quarantined-servers.ts'

const BATCH = 500

/** Quarantines or denies a content, also before a file has it. Returns how many media are no longer served. */
export function setContentRule(
  app: App,
  sha256: string,
  rule: { verdict: Verdict; reason: string | null; by: UserId },
): Promise<number> {
  const { by, ...given } = rule
  return app.database.write((tx) => setContentRules(tx, [sha256], { ...given, setBy: by, now: app.clock.now() }))
}

/** Deletes the rule of a content. Throws M_NOT_FOUND. */
export async function removeContentRule(app: App, sha256: string): Promise<void> {
  const count = await app.database.write((tx) => deleteContentRules(tx, [sha256]))
  if (count === 0) throw new NotFoundError('There is no rule for this content')
}

/**
 * Quarantines all media of another server, stored ones and those that would be fetched. Returns how many are stored. A
 * repeated request announces them again, because the process may have died before. Throws M_INVALID_PARAM for this server.
 */
export async function quarantineServer(
  app: App,
  serverName: ServerName,
  { by, reason }: { by: UserId; reason: string | null },
): Promise<number> {
  if (serverName === app.serverName) throw new InvalidParamError('Quarantine the media of single users of this server')
  const server = { server_name: serverName, set_by: by, reason, set_ts: app.clock.now() }
  await app.database.write((tx) => insertQuarantinedServer(tx, server))
  return announceServer(app, serverName, true)
}

/** Ends the quarantine of all media of a server, and returns how many are stored. Can be repeated. */
export async function releaseServer(app: App, serverName: ServerName): Promise<number> {
  await app.database.write((tx) => deleteQuarantinedServer(tx, serverName))
  return announceServer(app, serverName, false)
}

/** Appends the changes for all stored media of a server, in batches, and returns their number. */
async function announceServer(app: App, serverName: ServerName, isQuarantined: boolean): Promise<number> {
  for (let total = 0, after = ''; ; ) {
    const page = { after, limit: BATCH, isQuarantined }
    const { count, last } = await app.database.write((tx) => appendServerChanges(tx, serverName, page))
    total += count
    if (count < BATCH) return total
    after = last
  }
}
