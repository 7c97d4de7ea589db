import type { AnyEndpoint } from '../../http/route.ts'
import { getAuditPage } from './audit-log.ts'
import { getCreateUserPage, postCreateUserPage } from './create-user.ts'
import { getOverviewPage } from './overview.ts'
import { getUserPage } from './user.ts'
import { userActs } from './user-acts.ts'
import { getUsersPage } from './users.ts'

/** The pages for administrators. */
export const adminPages: AnyEndpoint[] = [
  getOverviewPage,
  getUsersPage,
  getCreateUserPage,
  postCreateUserPage,
  getUserPage,
  ...userActs,
  getAuditPage,
]
