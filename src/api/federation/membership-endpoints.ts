import type { AnyEndpoint } from '../http/route.ts'
import { putSendJoin, putSendJoinV1, putSendKnock, putSendLeave, putSendLeaveV1 } from './member-submissions.ts'
import { getMakeJoin, getMakeKnock, getMakeLeave } from './member-templates.ts'
import { putInvite, putInviteV1 } from './receive-invite.ts'
import { postThirdPartyOnBind, putExchangeThirdPartyInvite, putThirdPartyOnBind } from './third-party-invites.ts'

/** Joins, leaves and knocks of remote users in local rooms, and invites to local users. */
export const membershipEndpoints: readonly AnyEndpoint[] = [
  getMakeJoin,
  putSendJoinV1,
  putSendJoin,
  getMakeKnock,
  putSendKnock,
  getMakeLeave,
  putSendLeaveV1,
  putSendLeave,
  putInviteV1,
  putInvite,
  putExchangeThirdPartyInvite,
  putThirdPartyOnBind,
  postThirdPartyOnBind,
]
