import type { AnyEndpoint } from '../http/route.ts'
import { getLogin, postLogin } from './login.ts'
import { postLogout, postLogoutAll } from './logout.ts'
import { postRefresh } from './refresh.ts'
import { getRegisterAvailable, postRegister } from './register.ts'
import { getVersions } from './versions.ts'
import { getWhoami } from './whoami.ts'

/** Accounts, and all about a user that is not a room. */
export const userEndpoints: AnyEndpoint[] = [
  getVersions,
  postRegister,
  getRegisterAvailable,
  getLogin,
  postLogin,
  postRefresh,
  postLogout,
  postLogoutAll,
  getWhoami,
]
