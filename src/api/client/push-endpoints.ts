import type { AnyEndpoint } from '../http/route.ts'
import { getNotifications } from './push/notifications.ts'
import { getPushers, postPushersSet } from './push/pushers.ts'
import { getUnsubscribe, postUnsubscribe } from './users/unsubscribe.ts'

/** Notifications and pushers. Push rules are in user-endpoints.ts. */
export const pushEndpoints: AnyEndpoint[] = [
  getNotifications,
  getPushers,
  postPushersSet,
  getUnsubscribe,
  postUnsubscribe,
]
