import type { AnyEndpoint } from './http/route.ts'
import { getAccountPage } from './pages/account/overview.ts'
import { getAsset, getLogo } from './pages/assets.ts'
import { getLoginPage, postLoginPage } from './pages/sign-in/login.ts'
import { getLogoutPage, postLogoutPage } from './pages/sign-in/logout.ts'

const account: AnyEndpoint[] = [getAccountPage]

const signIn: AnyEndpoint[] = [getLoginPage, postLoginPage, getLogoutPage, postLogoutPage]

/** The pages of this server for people, with what they load. */
export const pageEndpoints: AnyEndpoint[] = [getAsset, getLogo, ...signIn, ...account]
