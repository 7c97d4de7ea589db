import type { AnyEndpoint } from '../http/route.ts'
import { getWellKnownClient } from '../well-known/client.ts'
import { getWellKnownPolicyServer } from '../well-known/policy-server.ts'
import { getWellKnownServer } from '../well-known/server.ts'
import { getWellKnownSupport } from '../well-known/support.ts'
import { deleteOneAccountData, getOneAccountData, putOneAccountData } from './account-data.ts'
import { getLock, getSuspend, putLock, putSuspend } from './account-moderation.ts'
import { deleteNetworkVisibility, postAppservicePing, putNetworkVisibility } from './appservices.ts'
import { getArrival } from './arrival.ts'
import { getAuthFallback, postAuthFallback } from './auth-fallback.ts'
import { getCapabilities } from './capabilities.ts'
import { getConfirmEmail, postConfirmEmail } from './confirm-email.ts'
import { postDeactivate } from './deactivate.ts'
import { deleteDevice, getDevices, getOneDevice, postDeleteDevices, putDevice } from './devices.ts'
import { getOneFilter, postFilter } from './filters.ts'
import { getLogin, postLogin } from './login.ts'
import { getLoginFallback } from './login-fallback.ts'
import { postLoginToken } from './login-token.ts'
import { postLogout, postLogoutAll } from './logout.ts'
import { postOpenIdToken } from './openid.ts'
import { postPassword } from './password.ts'
import { getPresence, putPresence } from './presence.ts'
import { deleteProfileField, getOneProfileField, getWholeProfile, putProfileField } from './profile.ts'
import {
  deleteOnePushRule,
  getGlobalPushRules,
  getOnePushRule,
  getPushRuleActions,
  getPushRuleEnabled,
  getPushRules,
  getPushRulesOfKind,
  putOnePushRule,
  putPushRuleActions,
  putPushRuleEnabled,
} from './push-rules.ts'
import { postRefresh } from './refresh.ts'
import { getRegisterAvailable, postRegister } from './register.ts'
import { getRegistrationTokenValidity } from './registration-tokens.ts'
import { deleteRoomTag, getRoomTags, putRoomTag } from './tags.ts'
import { thirdPartyIdEndpoints } from './third-party-ids.ts'
import {
  getThirdPartyLocations,
  getThirdPartyLocationsOfAlias,
  getThirdPartyProtocol,
  getThirdPartyProtocols,
  getThirdPartyUsers,
  getThirdPartyUsersOfId,
} from './third-party-networks.ts'
import { getTurnServer } from './turn-server.ts'
import { getVersions } from './versions.ts'
import { getWhoami } from './whoami.ts'
import { getWhois } from './whois.ts'

const discovery: AnyEndpoint[] = [
  getVersions,
  getArrival,
  getCapabilities,
  getWellKnownClient,
  getWellKnownServer,
  getWellKnownSupport,
  getWellKnownPolicyServer,
  getThirdPartyProtocols,
  getThirdPartyProtocol,
  getThirdPartyLocations,
  getThirdPartyUsers,
  getThirdPartyLocationsOfAlias,
  getThirdPartyUsersOfId,
  postAppservicePing,
  putNetworkVisibility,
  deleteNetworkVisibility,
  getTurnServer,
]

const accounts: AnyEndpoint[] = [
  postRegister,
  getRegisterAvailable,
  getRegistrationTokenValidity,
  getLogin,
  postLogin,
  postLoginToken,
  postRefresh,
  postLogout,
  postLogoutAll,
  getWhoami,
  postPassword,
  postDeactivate,
  ...thirdPartyIdEndpoints,
  getAuthFallback,
  postAuthFallback,
  getLoginFallback,
  getConfirmEmail,
  postConfirmEmail,
  getLock,
  putLock,
  getSuspend,
  putSuspend,
  getWhois,
]

const belongings: AnyEndpoint[] = [
  getDevices,
  getOneDevice,
  putDevice,
  deleteDevice,
  postDeleteDevices,
  getWholeProfile,
  getOneProfileField,
  putProfileField,
  deleteProfileField,
  getPresence,
  putPresence,
  getOneAccountData,
  putOneAccountData,
  deleteOneAccountData,
  getRoomTags,
  putRoomTag,
  deleteRoomTag,
  postFilter,
  getOneFilter,
  getPushRules,
  getGlobalPushRules,
  getOnePushRule,
  getPushRulesOfKind,
  putOnePushRule,
  deleteOnePushRule,
  getPushRuleEnabled,
  putPushRuleEnabled,
  getPushRuleActions,
  putPushRuleActions,
  postOpenIdToken,
]

/** Accounts, and all about a user that is not a room. */
export const userEndpoints: AnyEndpoint[] = [...discovery, ...accounts, ...belongings]
