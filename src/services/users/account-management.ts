import type { App } from '../../app.ts'

/** The account pages: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management */
const ACCOUNT_PATH = '/account'

/**
 * The actions of the account pages, as the metadata of the authorization server lists them. Clients still use the names
 * of MSC4191 that begin with `org.matrix.session`.
 * https://spec.matrix.org/v1.19/client-server-api/#account-management-url-actions
 */
export const ACCOUNT_ACTIONS = [
  'org.matrix.profile',
  'org.matrix.devices_list',
  'org.matrix.device_view',
  'org.matrix.device_delete',
  'org.matrix.account_deactivate',
  'org.matrix.cross_signing_reset',
  'org.matrix.sessions_list',
  'org.matrix.session_view',
  'org.matrix.session_end',
] as const

export type AccountAction = (typeof ACCOUNT_ACTIONS)[number]

/** Returns the URL of the account pages, or of the page for an action. */
export function accountUrl({ config }: Pick<App, 'config'>, action?: AccountAction): string {
  const query = action === undefined ? '' : `?${new URLSearchParams({ action })}`
  return `${config.public_base_url}${ACCOUNT_PATH}${query}`
}
