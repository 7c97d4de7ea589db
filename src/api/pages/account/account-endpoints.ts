import type { AnyEndpoint } from '../../http/route.ts'
import { getAvatar, postAvatarPage } from './avatar.ts'
import { getBrowsersPage, postBrowsersPage } from './browsers.ts'
import { getDeactivatedPage, getDeactivatePage, postDeactivatePage } from './deactivate.ts'
import { getAccountDevicePage, postAccountDevicePage } from './device.ts'
import { getDevicesPage, postDevicesPage } from './devices.ts'
import { getEmailsPage, postEmailsPage } from './emails.ts'
import { getExportData, getExportPage } from './export.ts'
import { getAccountPage, getRootPage } from './overview.ts'
import { getPasswordPage, postPasswordPage } from './password.ts'
import { getProfilePage, postProfilePage } from './profile.ts'
import { getProvidersPage, postProvidersPage } from './providers.ts'
import { getResetIdentityPage, postResetIdentityPage } from './reset-identity.ts'
import { getSecondFactorPage, postSecondFactorPage } from './second-factor.ts'
import { getTokensPage, postTokensPage } from './tokens.ts'
import { getTotpPage, postTotpPage } from './totp.ts'
import { getUploadsPage } from './uploads.ts'

/** The pages on which users manage their accounts. */
export const accountPages: AnyEndpoint[] = [
  getRootPage,
  getAccountPage,
  getProfilePage,
  postProfilePage,
  getAvatar,
  postAvatarPage,
  getDevicesPage,
  postDevicesPage,
  getAccountDevicePage,
  postAccountDevicePage,
  getBrowsersPage,
  postBrowsersPage,
  getUploadsPage,
  getExportPage,
  getExportData,
  getEmailsPage,
  postEmailsPage,
  getPasswordPage,
  postPasswordPage,
  getSecondFactorPage,
  postSecondFactorPage,
  getTotpPage,
  postTotpPage,
  getProvidersPage,
  postProvidersPage,
  getTokensPage,
  postTokensPage,
  getResetIdentityPage,
  postResetIdentityPage,
  getDeactivatePage,
  postDeactivatePage,
  getDeactivatedPage,
]
