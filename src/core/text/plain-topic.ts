import type { Json, JsonObject } from '../pdu.ts'

/**
 * Returns a room's topic as plain text: the first plain-text representation in `m.topic`, or `topic` (of older clients)
 * if there is none. https://spec.matrix.org/v1.19/client-server-api/#mroomtopic
 */
export function plainTopic(content: JsonObject): string | undefined {
  const representations = objectIn(content['m.topic'])['m.text']
  const plain = (Array.isArray(representations) ? representations : [])
    .map(objectIn)
    .find(({ mimetype = 'text/plain', body }) => mimetype === 'text/plain' && typeof body === 'string')
  const text = plain ? plain.body : content.topic
  return typeof text === 'string' ? text : undefined
}

function objectIn(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}
