import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { JsonCutter, MalformedJsonError } from '../../../core/json/json-cutter.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { FederationRequest } from '../../../infra/federation/federation-client.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'

/** A room, and a server that is asked about it. */
export type EventSource = {
  server: ServerName
  roomId: RoomId
  version: RoomVersion
  /** Ends what takes too long. */
  signal: AbortSignal
  /** For each request; default: 30 s. */
  timeoutMs?: number
}

/** Of all items of an answer, in its order. */
export type Item = { key: string; value: unknown }

type Wanted = {
  /** Members of the answer that are lists. */
  lists: readonly string[]
  /** Items in all of them: who sends more is not listened to. */
  maxItems: number
}

const TIMEOUT_MS = 30_000
/** Of a single item: an event has at most 65536 bytes, and something beside it that is no part of it. */
const MAX_ITEM_BYTES = 256 * 1024
const MAX_BYTES = 256 * 1024 * 1024
/** Names of members, and members that are not wanted. */
const MAX_OTHER_PARTS = 1000
/** Items that are handed over at once, unless they are long: few, so that they are forgotten while they are young. */
const BATCH = 100
const BATCH_BYTES = 1024 * 1024

/**
 * Asks about a room for lists that may be long, and hands over their items batch by batch as they arrive, so that the
 * answer is never in memory as a whole, however much there is of it. Throws FederationError when there is no answer, or
 * none that is worth reading.
 */
export async function* askForItems(
  app: Pick<App, 'federation'>,
  source: EventSource,
  { lists, maxItems, ...request }: Pick<FederationRequest, 'method' | 'path' | 'query' | 'body'> & Wanted,
): AsyncGenerator<Item[]> {
  const { body } = await app.federation.stream({
    destination: source.server,
    signal: source.signal,
    timeoutMs: source.timeoutMs ?? TIMEOUT_MS,
    maxBytes: MAX_BYTES,
    ...request,
    path: `/_matrix/federation/v1/${request.path}`,
  })
  try {
    yield* inBatches(body, new Set(lists), maxItems)
  } catch (error) {
    if (!(error instanceof MalformedJsonError || error instanceof SyntaxError)) throw error
    throw new FederationError(`The answer of ${source.server} is malformed: ${error.message}`, { cause: error })
  }
}

async function* inBatches(
  body: AsyncIterable<Buffer>,
  lists: ReadonlySet<string>,
  maxItems: number,
): AsyncGenerator<Item[]> {
  const cutter = new JsonCutter({ lists, maxPartBytes: MAX_ITEM_BYTES, maxParts: maxItems + MAX_OTHER_PARTS })
  let batch: Item[] = []
  let bytes = 0
  let count = 0
  for await (const chunk of body) {
    for (const { key, text } of cutter.push(chunk)) {
      if (!lists.has(key)) continue
      if (++count > maxItems) throw new MalformedJsonError(`it has more than ${maxItems} items`)
      batch.push({ key, value: JSON.parse(text) })
      bytes += text.length
      if (batch.length < BATCH && bytes < BATCH_BYTES) continue
      yield batch
      batch = []
      bytes = 0
    }
  }
  cutter.end()
  if (batch.length > 0) yield batch
}
