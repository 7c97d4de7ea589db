import type { Json, JsonObject } from '../pdu.ts'

/**
 * The topic of a room in plain text, by the content of `m.room.topic`: the first such representation in `m.topic`, and `topic`, which older clients
 * write, where there is none. https://spec.matrix.org/v1.19/client-server-api/#mroomtopic
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
