import { LRUCache } from 'lru-cache'
import { z } from 'zod'

const KEPT_MS = 5 * 60_000
const MAX_KEPT = 200

const text = z.string()
const fieldType = z.looseObject({ regexp: text, placeholder: text })
export const protocolSchema = z.looseObject({
  user_fields: z.array(text).default([]),
  location_fields: z.array(text).default([]),
  icon: text.default(''),
  field_types: z.record(text, fieldType).default({}),
  instances: z
    .array(
      z.looseObject({ network_id: text.optional(), desc: text.default(''), fields: z.looseObject({}).default({}) }),
    )
    .default([]),
})

/**
 * A third-party protocol in the client format:
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol
 */
export type Protocol = z.output<typeof protocolSchema>

/** Responses of application services about their protocols, by application service and protocol. */
export type ThirdPartyProtocols = LRUCache<string, Protocol>

export function createThirdPartyProtocols(): ThirdPartyProtocols {
  return new LRUCache({ max: MAX_KEPT, ttl: KEPT_MS })
}
