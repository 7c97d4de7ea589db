import type { App } from '../../../app.ts'
import { UPLOADS_PATH } from '../../../services/media/upload-limits.ts'
import { SECOND_FACTOR_PATH } from '../own-path.ts'
import type { Texts } from '../texts/en.ts'

/** A page of the account in the list of the start page. */
type AccountSection = {
  path: string
  texts(texts: Texts): { title: string; hint: string }
  /** Whether it is offered to a user with or without second factors; default: always. */
  isOffered?(app: Pick<App, 'config' | 'mailer' | 'identityProviders'>, hasSecondFactor: boolean): boolean
}

/** The pages of an account, in the order of the start page. */
export const ACCOUNT_SECTIONS: readonly AccountSection[] = [
  { path: '/account/profile', texts: ({ profile }) => profile },
  { path: '/account/devices', texts: ({ devices }) => devices },
  { path: '/account/browsers', texts: ({ browsers }) => browsers },
  { path: '/account/emails', texts: ({ emails }) => emails, isOffered: ({ mailer }) => mailer !== undefined },
  {
    path: '/account/password',
    texts: ({ password }) => password,
    isOffered: ({ config }) => config.sign_in.passwords !== 'disabled',
  },
  {
    path: SECOND_FACTOR_PATH,
    texts: ({ secondFactor }) => secondFactor,
    isOffered: ({ config }, hasSecondFactor) => hasSecondFactor || config.second_factor !== 'off',
  },
  {
    path: '/account/providers',
    texts: ({ providers }) => providers,
    isOffered: ({ identityProviders }) => identityProviders.size > 0,
  },
  {
    path: UPLOADS_PATH,
    texts: ({ uploads }) => uploads,
    isOffered: ({ config }) => config.media.upload_limits.length > 0,
  },
  { path: '/account/tokens', texts: ({ tokens }) => tokens },
  { path: '/account/export', texts: ({ exportData }) => exportData },
  { path: '/account/reset-identity', texts: ({ resetIdentity }) => resetIdentity },
  { path: '/account/deactivate', texts: ({ deactivate }) => deactivate },
]
