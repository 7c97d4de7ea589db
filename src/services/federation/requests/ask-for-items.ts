import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { JsonCutter, MalformedJsonError } from '../../../core/json/json-cutter.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import type { FederationRequest } from '../../../infra/federation/federation-client.ts'
import { FederationError } from '../../../infra/federation/federation-error.ts'

/** A room, and a server to ask about it. */
export type EventSource = {
  server: ServerName
  roomId: RoomId
  version: RoomVersion
  /** Aborts requests that take too long. */
  signal: AbortSignal
  /** Per request; default: 30 s. */
  timeoutMs?: number
}

/** An item of a response, in its order. */
export type Item = { key: string; value: unknown }

type Wanted = {
  /** Keys of the response that are lists. */
  lists: readonly string[]
  /** Maximum number of items in all lists; a longer response is an error. */
  maxItems: number
}

const TIMEOUT_MS = 30_000
/** Limit of a single item: an event has at most 65536 bytes, and the item has further keys. */
const MAX_ITEM_BYTES = 256 * 1024
const MAX_BYTES = 256 * 1024 * 1024
/** Limit for keys and for values that are not wanted. */
const MAX_OTHER_PARTS = 1000
/** Items yielded together, unless they are long: few, so that they are garbage-collected early. */
const BATCH = 100
const BATCH_BYTES = 1024 * 1024

/**
 * Requests lists about a room that may be long, and yields their items in batches as they arrive, so that the whole
 * response is never in memory. Throws FederationError if there is no response, or a malformed one.
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
