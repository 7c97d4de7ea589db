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

/** Messages of the client; see docs/websocket.md. */
const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('authenticate'), access_token: z.string().min(1).max(4096) }),
  z.object({ type: z.literal('request'), request: stableBody }),
  z.object({ type: z.literal('ack'), pos: z.string() }),
])
export type ClientMessage = z.output<typeof messageSchema>

/** Parses a message. Throws M_NOT_JSON, M_BAD_JSON and M_TOO_LARGE. */
export function parseMessage(bytes: Buffer): ClientMessage {
  return parsePart('body', messageSchema, parseJson(bytes, 'message'))
}

export type Conversation = {
  /** Replaces the request or its position, and aborts the pending wait. */
  request(body: z.output<typeof stableBody>): void
  /**
   * Acknowledges the response with position `pos`, so that the next one is made. Throws M_BAD_JSON if that was not the
   * last response.
   */
  ack(pos: string): void
  close(): void
}

type Answers = { send(response: object, request: number): void; fail(error: unknown): void }

/** The longest wait of one sliding sync. When it ends, the next one begins. */
const ROUND_MS = 10 * 60_000
/** The reason for aborting a wait. Shared, since creating an error is slow. */
const GIVEN_UP = new Error('something else is asked for')

/**
 * Streams responses to a client one at a time: the next one is made only after the client has acknowledged the last, so
 * a slow client costs one response in memory. `send` receives a response and the number of the request that it answers.
 * `fail` receives an error after which the client has to send a new request.
 */
export function startConversation(app: App, session: Session, { send, fail }: Answers): Conversation {
  let asked: SlidingRequest | undefined
  /** The number of requests so far. The client needs it to skip responses to earlier requests. */
  let requests = 0
  /** The response that the client has not acknowledged yet. */
  let unacknowledged: { pos: string; toDevice: string | undefined } | undefined
  /** The connection state after the last response, which saves loading it again. */
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

/** Returns the same request from a later position, with the to-device position advanced too. */
function goneOn(
  asked: SlidingRequest,
  { pos, toDevice }: { pos: string; toDevice: string | undefined },
): SlidingRequest {
  const { extensions } = asked
  if (toDevice === undefined || !extensions.toDevice) return { ...asked, pos }
  return { ...asked, pos, extensions: { ...extensions, toDevice: { ...extensions.toDevice, since: toDevice } } }
}
