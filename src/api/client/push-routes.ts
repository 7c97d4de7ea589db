import type { AnyEndpoint } from '../http/route.ts'
import { getNotifications } from './push/notifications.ts'
import { getPushers, postPushersSet } from './push/pushers.ts'
import { getUnsubscribe, postUnsubscribe } from './users/unsubscribe.ts'

/** Notifications and where they go; push rules are with the user's other belongings. */
export const pushEndpoints: AnyEndpoint[] = [
  getNotifications,
  getPushers,
  postPushersSet,
  getUnsubscribe,
  postUnsubscribe,
]
