import { logOut, logOutEverywhere } from '../../../services/users/log-out.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout */
export const postLogout = route({
  method: 'POST',
  path: v3('/logout'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  lockedUsers: true,
  async handle({ session }, app) {
    await logOut(app, session)
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall */
export const postLogoutAll = route({
  method: 'POST',
  path: v3('/logout/all'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  lockedUsers: true,
  async handle({ session }, app) {
    await logOutEverywhere(app, { userId: session.userId })
    return {}
  },
})
