import type { AnyEndpoint } from '../http/route.ts'
import { putInvite, putInviteV1 } from './invites.ts'
import { putSendJoin, putSendJoinV1, putSendKnock, putSendLeave, putSendLeaveV1 } from './member-submissions.ts'
import { getMakeJoin, getMakeKnock, getMakeLeave } from './member-templates.ts'
import { postThirdPartyOnBind, putExchangeThirdPartyInvite, putThirdPartyOnBind } from './third-party-invites.ts'

/** How users of other servers come into rooms of this one, and ours hear of invites. */
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
