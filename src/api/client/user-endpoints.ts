import type { AnyEndpoint } from '../http/route.ts'
import { getWellKnownClient } from '../well-known/client.ts'
import { getWellKnownPolicyServer } from '../well-known/policy-server.ts'
import { getWellKnownServer } from '../well-known/server.ts'
import { getWellKnownSupport } from '../well-known/support.ts'
import { deleteNetworkVisibility, postAppservicePing, putNetworkVisibility } from './appservices/appservices.ts'
import {
  getThirdPartyLocations,
  getThirdPartyLocationsOfAlias,
  getThirdPartyProtocol,
  getThirdPartyProtocols,
  getThirdPartyUsers,
  getThirdPartyUsersOfId,
} from './appservices/third-party-networks.ts'
import { deleteDevice, getDevices, getOneDevice, postDeleteDevices, putDevice } from './devices/devices.ts'
import { getPresence, putPresence } from './presence/presence.ts'
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
} from './push/push-rules.ts'
import { getTurnServer } from './rtc/turn-credentials.ts'
import { deleteOneAccountData, getOneAccountData, putOneAccountData } from './users/account-data.ts'
import { getLock, getSuspend, putLock, putSuspend } from './users/account-moderation.ts'
import { getArrival } from './users/arrival.ts'
import { getCapabilities } from './users/capabilities.ts'
import { postDeactivate } from './users/deactivate.ts'
import { getOneFilter, postFilter } from './users/filters.ts'
import { getLogin, postLogin } from './users/login.ts'
import { postLoginToken } from './users/login-token.ts'
import { postLogout, postLogoutAll } from './users/logout.ts'
import { postOpenIdToken } from './users/openid.ts'
import { postPassword } from './users/password.ts'
import { deletePersonalToken, getPersonalTokens, postPersonalToken } from './users/personal-tokens.ts'
import { phoneNumberEndpoints } from './users/phone-numbers.ts'
import { deleteProfileField, getOneProfileField, getWholeProfile, putProfileField } from './users/profile.ts'
import { postRefresh } from './users/refresh.ts'
import { getRegisterAvailable, postRegister } from './users/register.ts'
import { getRegistrationTokenValidity } from './users/registration-tokens.ts'
import { postRenewalMail } from './users/renewal-mail.ts'
import { deleteRoomTag, getRoomTags, putRoomTag } from './users/tags.ts'
import { thirdPartyIdEndpoints } from './users/third-party-ids.ts'
import { getVersions } from './users/versions.ts'
import { getWhoami } from './users/whoami.ts'
import { getWhois } from './users/whois.ts'

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
  postRenewalMail,
  postPassword,
  getPersonalTokens,
  postPersonalToken,
  deletePersonalToken,
  postDeactivate,
  ...thirdPartyIdEndpoints,
  ...phoneNumberEndpoints,
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

/** Accounts and per-user data outside rooms. */
export const userEndpoints: AnyEndpoint[] = [...discovery, ...accounts, ...belongings]
