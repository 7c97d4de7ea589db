import type { MediaName } from '../../../core/content-uri.ts'

/** Addresses of the pages for administrators that link to each other. */
export const USERS_PATH = '/admin/users'
export const CREATE_USER_PATH = '/admin/users/new'
export const AUDIT_PATH = '/admin/audit'
export const ROOMS_PATH = '/admin/rooms'
export const REFUSED_EVENTS_PATH = '/admin/rejected-events'
export const ALERTS_PATH = '/admin/alerts'
export const REPORTS_PATH = '/admin/reports'
export const MEDIA_PATH = '/admin/media'
export const TOKENS_PATH = '/admin/tokens'
export const NOTICES_PATH = '/admin/notices'
export const APPSERVICES_PATH = '/admin/appservices'
export const LOAD_PATH = '/admin/load'
export const FEDERATION_PATH = '/admin/federation'
export const TASKS_PATH = '/admin/tasks'

/** Returns the page of a user, or one of the pages below it. */
export function userPath(userId: string, below = ''): string {
  return `${USERS_PATH}/${encodeURIComponent(userId)}${below}`
}

/** Returns the list of what administrators did with a user, a room or another object. */
export function auditPath(target: string): string {
  return `${AUDIT_PATH}?target=${encodeURIComponent(target)}`
}

/** Returns the page of a file, or one of the pages below it. */
export function mediaPagePath({ serverName, mediaId }: MediaName, below = ''): string {
  return `${MEDIA_PATH}/${encodeURIComponent(serverName)}/${encodeURIComponent(mediaId)}${below}`
}

/** Returns the page of a room, or one of the pages below it. */
export function roomPath(roomId: string, below = ''): string {
  return `${ROOMS_PATH}/${encodeURIComponent(roomId)}${below}`
}
