import { LRUCache } from 'lru-cache'
import type { ServerName } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { Pdu } from '../../../core/pdu.ts'

/** A transaction; the content of EDUs is JSON. */
type Transaction = {
  origin: ServerName
  origin_server_ts: number
  pdus: readonly Pdu[]
  edus: readonly { edu_type: string; content: string }[]
}

/** Memory for the texts of events that have been sent lately, for they go to many servers. */
const REMEMBERED_BYTES = 16_000_000
/**
 * By the event as it was read: one that is redacted is read anew. An entry also holds its event, which takes about
 * three times as much as its text.
 */
const texts = new LRUCache<Pdu, string>({
  maxSize: REMEMBERED_BYTES,
  sizeCalculation: (text) => 600 + text.length * 4,
})

/**
 * The canonical JSON of a transaction. https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
 */
export function transactionText({ origin, origin_server_ts, pdus, edus }: Transaction): string {
  const eduTexts = edus.map(({ edu_type, content }) => lenient({ content: JSON.parse(content), edu_type }))
  return `{"edus":[${eduTexts}],"origin":${lenient(origin)},"origin_server_ts":${origin_server_ts},"pdus":[${pdus.map(eventText)}]}`
}

function eventText(pdu: Pdu): string {
  const known = texts.get(pdu)
  if (known !== undefined) return known
  const text = inOnePiece(lenient(pdu))
  texts.set(pdu, text)
  return text
}

/**
 * Copies a text: V8 keeps one that was put together from parts as a tree of all its parts, which takes many times its
 * length.
 */
function inOnePiece(text: string): string {
  return Buffer.from(text).toString()
}

/** Old room versions have numbers that the newer ones do not allow. */
const lenient = (value: Parameters<typeof canonicalJson>[0]) => canonicalJson(value, { strict: false })
