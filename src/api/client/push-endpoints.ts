import type { AnyEndpoint } from '../http/route.ts'
import { getNotifications } from './push/notifications.ts'
import { getPushers, postPushersSet } from './push/pushers.ts'

/** Notifications and pushers. Push rules are in user-endpoints.ts. */
export const pushEndpoints: AnyEndpoint[] = [getNotifications, getPushers, postPushersSet]
