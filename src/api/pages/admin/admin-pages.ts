import type { AnyEndpoint } from '../../http/route.ts'
import { getAlertsPage } from './alerts.ts'
import { appserviceActs, getAppservicesPage } from './appservices.ts'
import { getAuditPage } from './audit-log.ts'
import { getCreateUserPage, postCreateUserPage } from './create-user.ts'
import { federationActs, getFederationPage } from './federation.ts'
import { getLoadPage, getLoadValuesPage } from './load.ts'
import { getMediaPage } from './media.ts'
import { mediaPages } from './media-file.ts'
import { getNoticesPage, postNoticesPage } from './notices.ts'
import { getOverviewPage } from './overview.ts'
import { getRefusedEventsPage } from './refused-events.ts'
import { getReportPage, reportActs } from './report.ts'
import { getReportsPage } from './reports.ts'
import { getRoomMembersPage, getRoomPage } from './room.ts'
import { roomActs } from './room-acts.ts'
import { getRoomStatePage } from './room-state.ts'
import { getRoomsPage } from './rooms.ts'
import { getTasksPage } from './tasks.ts'
import { getTokensListPage, tokenActs } from './tokens.ts'
import { getUserPage } from './user.ts'
import { userActs } from './user-acts.ts'
import { getUsersPage } from './users.ts'

/** The pages for administrators. */
export const adminPages: AnyEndpoint[] = [
  getOverviewPage,
  getAlertsPage,
  getLoadPage,
  getLoadValuesPage,
  getUsersPage,
  getCreateUserPage,
  postCreateUserPage,
  getUserPage,
  ...userActs,
  getRoomsPage,
  getRoomPage,
  getRoomMembersPage,
  getRoomStatePage,
  getRefusedEventsPage,
  ...roomActs,
  getReportsPage,
  getReportPage,
  ...reportActs,
  getMediaPage,
  ...mediaPages,
  getTokensListPage,
  ...tokenActs,
  getNoticesPage,
  postNoticesPage,
  getFederationPage,
  ...federationActs,
  getAppservicesPage,
  ...appserviceActs,
  getTasksPage,
  getAuditPage,
]
