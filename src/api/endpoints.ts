import type { ListenerConfig } from '../config.ts'
import { getHealth } from './health.ts'
import type { AnyEndpoint } from './http/route.ts'
import { getMetrics } from './metrics.ts'

/** The endpoints of each part of the API that a listener can serve. */
export const ENDPOINTS: Record<ListenerConfig['serves'][number], readonly AnyEndpoint[]> = {
  client: [],
  federation: [],
  media: [],
  admin: [],
  metrics: [getMetrics],
}

/** What a listener serves; `/health` is on every one. */
export function endpointsFor(serves: ListenerConfig['serves']): AnyEndpoint[] {
  return [getHealth, ...new Set(serves.flatMap((part) => ENDPOINTS[part]))]
}
