import { LRUCache } from 'lru-cache'
import type { ServerName } from '../../../core/ids.ts'
import { canonicalJson } from '../../../core/json/canonical-json.ts'
import type { Pdu } from '../../../core/pdu.ts'

/** A transaction; the content of EDUs is JSON text. */
type Transaction = {
  origin: ServerName
  origin_server_ts: number
  pdus: readonly Pdu[]
  edus: readonly { edu_type: string; content: string }[]
}

/** Memory for the texts of recently sent events, each of which goes to many servers. */
const REMEMBERED_BYTES = 16_000_000

/** Returns transactions as text; the texts of their events are cached. */
export type TransactionTexts = {
  /**
   * Returns the canonical JSON of a transaction.
   * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
   */
  textOf(transaction: Transaction): string
}

export function createTransactionTexts(): TransactionTexts {
  /**
   * Keyed by the parsed event: a redacted event is parsed again. An entry also holds its event, which takes about three
   * times the size of its text.
   */
  const texts = new LRUCache<Pdu, string>({
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (text) => 600 + text.length * 4,
  })

  function eventText(pdu: Pdu): string {
    const known = texts.get(pdu)
    if (known !== undefined) return known
    const text = inOnePiece(lenient(pdu))
    texts.set(pdu, text)
    return text
  }

  return {
    textOf({ origin, origin_server_ts, pdus, edus }) {
      const eduTexts = edus.map(({ edu_type, content }) => lenient({ content: JSON.parse(content), edu_type }))
      return `{"edus":[${eduTexts}],"origin":${lenient(origin)},"origin_server_ts":${origin_server_ts},"pdus":[${pdus.map(eventText)}]}`
    },
  }
}

/** Flattens a string: V8 keeps a concatenated one as a tree of its parts, which takes many times its length. */
function inOnePiece(text: string): string {
  return Buffer.from(text).toString()
}

/** Old room versions have numbers that newer ones do not allow. */
const lenient = (value: Parameters<typeof canonicalJson>[0]) => canonicalJson(value, { strict: false })
