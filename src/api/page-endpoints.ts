import type { AnyEndpoint } from './http/route.ts'
import { accountPages } from './pages/account/account-endpoints.ts'
import { adminPages } from './pages/admin/admin-pages.ts'
import { getAsset, getLogo } from './pages/assets.ts'
import { getLoginFallback } from './pages/fallback/login.ts'
import { getAuthFallback, postAuthFallback } from './pages/fallback/stage.ts'
import { getConfirmEmail, postConfirmEmail } from './pages/mail/confirm-email.ts'
import { getUnsubscribe, postUnsubscribe } from './pages/mail/unsubscribe.ts'
import { getAuthorizePage } from './pages/oauth/authorize.ts'
import { getConsentPage, postConsentPage } from './pages/oauth/consent.ts'
import { getDevicePage, postDevicePage } from './pages/oauth/device.ts'
import { getMailedPage, postMailedPage } from './pages/registration/confirm.ts'
import { getForgottenPage, postForgottenPage } from './pages/registration/forgotten.ts'
import { getRegisterPage, postRegisterPage } from './pages/registration/register.ts'
import { getRenewPage, postRenewPage } from './pages/registration/renew.ts'
import { getResetPage, postResetPage } from './pages/registration/reset.ts'
import { postBackchannelLogout } from './pages/sign-in/backchannel-logout.ts'
import { getConfirmPage, postConfirmPage } from './pages/sign-in/confirm.ts'
import { getLoginPage, postLoginPage } from './pages/sign-in/login.ts'
import { getLogoutPage, postLogoutPage } from './pages/sign-in/logout.ts'
import { getSecondStepPage, postSecondStepPage } from './pages/sign-in/second-factor.ts'
import { getSsoRedirect, postSsoRedirect } from './pages/sign-in/sso.ts'
import { getUpstreamAccount, postUpstreamAccount } from './pages/sign-in/upstream-account.ts'
import { getUpstreamCallback } from './pages/sign-in/upstream-callback.ts'
import { getUpstreamStart } from './pages/sign-in/upstream-start.ts'

const signIn: AnyEndpoint[] = [
  getLoginPage,
  postLoginPage,
  getLogoutPage,
  postLogoutPage,
  getSecondStepPage,
  postSecondStepPage,
]

const registration: AnyEndpoint[] = [
  getRegisterPage,
  postRegisterPage,
  getMailedPage,
  postMailedPage,
  getForgottenPage,
  postForgottenPage,
  getResetPage,
  postResetPage,
  getRenewPage,
  postRenewPage,
]

/** Pages that clients open, and links in mails; their addresses are under `/_matrix`, which proxies forward. */
const forClients: AnyEndpoint[] = [
  getLoginFallback,
  getAuthFallback,
  postAuthFallback,
  getConfirmEmail,
  postConfirmEmail,
  getUnsubscribe,
  postUnsubscribe,
]

const upstream: AnyEndpoint[] = [
  getUpstreamStart,
  getUpstreamCallback,
  getUpstreamAccount,
  postUpstreamAccount,
  postBackchannelLogout,
  getSsoRedirect,
  postSsoRedirect,
  getConfirmPage,
  postConfirmPage,
]

/** The pages on which users sign in to clients by OAuth 2.0. */
export const oauthPages: AnyEndpoint[] = [
  getAuthorizePage,
  getConsentPage,
  postConsentPage,
  getDevicePage,
  postDevicePage,
]

/** The pages of this server for people, with what they load. */
export const pageEndpoints: AnyEndpoint[] = [
  getAsset,
  getLogo,
  ...signIn,
  ...registration,
  ...upstream,
  ...accountPages,
  ...forClients,
  ...oauthPages,
]

/** The pages for administrators, and those through which they sign in, for listeners that serve no clients. */
export const administratorPages: AnyEndpoint[] = [
  getAsset,
  getLogo,
  ...signIn,
  ...upstream,
  ...accountPages,
  ...adminPages,
]
