/** Addresses of the pages for administrators that link to each other. */
export const USERS_PATH = '/admin/users'
export const CREATE_USER_PATH = '/admin/users/new'
export const AUDIT_PATH = '/admin/audit'

/** Returns the page of a user, or one of the pages below it. */
export function userPath(userId: string, below = ''): string {
  return `${USERS_PATH}/${encodeURIComponent(userId)}${below}`
}

/** Returns the list of what administrators did with a user, a room or another object. */
export function auditPath(target: string): string {
  return `${AUDIT_PATH}?target=${encodeURIComponent(target)}`
}
