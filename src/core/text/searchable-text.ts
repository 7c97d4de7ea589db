import type { Json, JsonObject } from '../pdu.ts'
import { plainTopic } from './plain-topic.ts'

/** The searchable keys of events. https://spec.matrix.org/v1.19/client-server-api/#search-categories */
export type SearchableKey = 'content.body' | 'content.name' | 'content.topic'

/** Returns the searchable text of an event; undefined if it has none. */
export function searchableText(event: {
  type: string
  content: JsonObject
}): { key: SearchableKey; text: string } | undefined {
  const { type, content } = event
  if (type === 'm.room.message') return keyed('content.body', [content.body])
  if (type === 'm.room.name') return keyed('content.name', [content.name])
  if (type === 'm.room.topic') return keyed('content.topic', [plainTopic(content)])
  return undefined
}

function keyed(key: SearchableKey, texts: readonly (Json | undefined)[]) {
  const found = [...new Set(texts.filter((text) => typeof text === 'string' && text !== ''))]
  return found.length > 0 ? { key, text: found.join('\n') } : undefined
}
