import type { App } from '../../app.ts'
import { MatrixError, NotFoundError, TooLargeError } from '../../core/errors.ts'
import {
  countRendezvous,
  deleteRendezvous,
  findRendezvous,
  findRendezvousWrite,
  insertRendezvous,
  lockRendezvous,
  type RendezvousCount,
  storeRendezvousWrite,
  updateRendezvous,
} from '../../storage/devices/rendezvous.ts'
import type { RendezvousRow } from '../../storage/schema/rendezvous.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'random'>

/** Maximum size of a session's payload, in bytes. */
export const MAX_RENDEZVOUS_BYTES = 4096
const LIFETIME_MS = 5 * 60_000
/** A sign-in takes a handful of writes. */
const REMEMBERED_WRITES = 200
/** Unguessable: the ID is the permission to read and write. */
const ID_LENGTH = 32
const TOKEN_LENGTH = 16

/** The key to which sessions count: a user, or without an account a network and the wide network around it. */
export type RendezvousCreator = { name: string; network: string | null }

/**
 * Creates a session in which two devices exchange messages, each replacing the last, while one signs the other in.
 * `creator`: the user or network that creates it. Throws M_TOO_LARGE, and M_LIMIT_EXCEEDED with the time until a
 * session expires.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4108 and
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4388
 */
export async function createRendezvous(
  app: Capabilities & Pick<App, 'config'>,
  { creator, content, contentType }: { creator: RendezvousCreator; content: string; contentType: string },
): Promise<RendezvousRow> {
  requireFitting(content)
  const now = app.clock.now()
  const session: RendezvousRow = {
    session_id: app.random.token(ID_LENGTH),
    creator: creator.name,
    network: creator.network,
    content,
    content_type: contentType,
    sequence_token: app.random.token(TOKEN_LENGTH),
    changed_ts: now,
    expires_ts: now + LIFETIME_MS,
  }
  await app.database.write(async (tx) => {
    const counted = await countRendezvous(tx, session, now)
    const { counts } = app.config.limits
    requirePlace(counted.own, counts.rendezvous, now)
    requirePlace(counted.network, counts.rendezvous_of_network, now)
    requirePlace(counted.all, counts.rendezvous_in_all, now)
    await insertRendezvous(tx, session)
  })
  return session
}

/** Returns the last message. Throws M_NOT_FOUND, also when the session has expired. */
export async function readRendezvous(app: Capabilities, sessionId: string): Promise<RendezvousRow> {
  const session = await findRendezvous(app.database, sessionId, app.clock.now())
  if (!session) throw notFound()
  return session
}

/** A message that replaces the one that its writer has seen. */
export type RendezvousWrite = {
  sessionId: string
  /** The token of the replaced message. */
  replaces: string
  content: string
  contentType: string
  /** The client's transaction ID: a retried write with the same one has the same result. */
  txnId?: string
}

/**
 * Replaces the message; returns undefined if the writer has not seen the current one. Throws M_NOT_FOUND, M_TOO_LARGE.
 */
export async function writeRendezvous(app: Capabilities, write: RendezvousWrite): Promise<RendezvousRow | undefined> {
  requireFitting(write.content)
  const { sessionId, txnId } = write
  const now = app.clock.now()
  return app.database.write(async (tx) => {
    const session = await lockRendezvous(tx, sessionId, now)
    if (!session) throw notFound()
    const before = txnId === undefined ? undefined : await findRendezvousWrite(tx, sessionId, txnId)
    if (before !== undefined) return before === null ? undefined : { ...session, sequence_token: before }
    const written: RendezvousRow | undefined =
      session.sequence_token === write.replaces
        ? {
            ...session,
            content: write.content,
            content_type: write.contentType,
            sequence_token: app.random.token(TOKEN_LENGTH),
            changed_ts: now,
          }
        : undefined
    if (written) await updateRendezvous(tx, sessionId, written)
    const token = written?.sequence_token ?? null
    if (txnId !== undefined) await storeRendezvousWrite(tx, { sessionId, txnId, token, kept: REMEMBERED_WRITES })
    return written
  })
}

/** Deletes a session. Throws M_NOT_FOUND. */
export async function endRendezvous(app: Capabilities, sessionId: string): Promise<void> {
  if (!(await app.database.write((tx) => deleteRendezvous(tx, sessionId, app.clock.now())))) throw notFound()
}

function requireFitting(content: string): void {
  if (Buffer.byteLength(content) > MAX_RENDEZVOUS_BYTES) {
    throw new TooLargeError(`A rendezvous session holds at most ${MAX_RENDEZVOUS_BYTES} bytes`)
  }
}

function notFound(): NotFoundError {
  return new NotFoundError('Unknown or expired rendezvous session')
}

function requirePlace({ count, expires }: RendezvousCount, most: number, now: number): void {
  if (count < most) return
  const message = 'Too many rendezvous sessions are open. Try again when one has ended.'
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { retry_after_ms: expires - now })
}
