import { z } from 'zod'
import type { App } from '../../../app.ts'
import { BadJsonError } from '../../../core/errors.ts'
import type { SlidingRequest } from '../../../services/sync/sliding/sliding-request.ts'
import { type SlidingReply, slidingSync } from '../../../services/sync/sliding/sliding-sync.ts'
import { parseJson } from '../../http/body.ts'
import { parsePart } from '../../http/errors.ts'
import type { Session } from '../../http/route.ts'
import { stableBody, stableRequest } from './sliding-sync.ts'
import { stableReply } from './sliding-sync-reply.ts'

/** What clients say; docs/websocket.md has the meaning. */
const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('authenticate'), access_token: z.string().min(1).max(4096) }),
  z.object({ type: z.literal('request'), request: stableBody }),
  z.object({ type: z.literal('ack'), pos: z.string() }),
])
export type ClientMessage = z.output<typeof messageSchema>

/** Reads a message. Throws M_NOT_JSON, M_BAD_JSON and M_TOO_LARGE for what is none. */
export function parseMessage(bytes: Buffer): ClientMessage {
  return parsePart('body', messageSchema, parseJson(bytes, 'message'))
}

export type Conversation = {
  /** Asks for something else, or from another position: what was waited for is given up. */
  request(body: z.output<typeof stableBody>): void
  /** The client has got the answer with this position, and wants the next one. Throws M_BAD_JSON when that was not the last one. */
  ack(pos: string): void
  close(): void
}

type Answers = { send(response: object, request: number): void; fail(error: unknown): void }

/** One wait of a conversation; after it the next begins. */
const ROUND_MS = 10 * 60_000
/** Why a wait ends early. One for all: to make an error takes long. */
const GIVEN_UP = new Error('something else is asked for')

/**
 * Tells a client what is new, one answer after the other: the next one is not made before the client has acknowledged the last, so a slow client costs
 * one answer. `send` is given what to send and the number of the request that it answers, `fail` an error after which the client has to ask anew.
 */
export function startConversation(app: App, session: Session, { send, fail }: Answers): Conversation {
  let asked: SlidingRequest | undefined
  /** How many requests there have been: a client must know which answers are not for the last one, for that began before them. */
  let requests = 0
  /** The answer that the client has not acknowledged yet. */
  let unacknowledged: { pos: string; toDevice: string | undefined } | undefined
  /** What the last reply left of the connection, so that it need not be looked up again. */
  let connection: SlidingReply['connection'] | undefined
  let given = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function tellNext(signal: AbortSignal): Promise<void> {
    while (asked && !signal.aborted) {
      const reply = await slidingSync(app, { ...asked, connection })
      if (signal.aborted) return
      connection = reply.connection
      const since = reply.extensions.toDevice?.next_batch
      if (reply.isNews) {
        unacknowledged = { pos: reply.pos, toDevice: since }
        return send(stableReply(reply), requests)
      }
      asked = goneOn(asked, { pos: reply.pos, toDevice: since })
    }
  }

  function start({ signal }: SlidingRequest): void {
    running = running
      .then(() => tellNext(signal))
      .catch((error: unknown) => {
        if (signal.aborted) return
        asked = undefined
        fail(error)
      })
  }

  return {
    request(body) {
      given.abort(GIVEN_UP)
      given = new AbortController()
      const signal = AbortSignal.any([given.signal, app.stopping])
      asked = stableRequest({ ...body, timeout: ROUND_MS }, { session, signal })
      requests++
      unacknowledged = undefined
      connection = undefined
      start(asked)
    },
    ack(pos) {
      if (!asked || unacknowledged?.pos !== pos) throw new BadJsonError('pos: is not that of the last response')
      asked = goneOn(asked, unacknowledged)
      unacknowledged = undefined
      start(asked)
    },
    close() {
      asked = undefined
      given.abort(GIVEN_UP)
    },
  }
}

/** The same request from a later position; what an extension counts for itself goes on too. */
function goneOn(
  asked: SlidingRequest,
  { pos, toDevice }: { pos: string; toDevice: string | undefined },
): SlidingRequest {
  const { extensions } = asked
  if (toDevice === undefined || !extensions.toDevice) return { ...asked, pos }
  return { ...asked, pos, extensions: { ...extensions, toDevice: { ...extensions.toDevice, since: toDevice } } }
}
