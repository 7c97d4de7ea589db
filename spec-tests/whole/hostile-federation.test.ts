import { EDU_ATTACKS } from '../harness/federation-attacks/edus.ts'
import { EVENT_ATTACKS } from '../harness/federation-attacks/events.ts'
import { INVITE_ATTACKS } from '../harness/federation-attacks/invites.ts'
import { MEMBER_ATTACKS } from '../harness/federation-attacks/members.ts'
import { READING_ATTACKS } from '../harness/federation-attacks/reading.ts'
import { REQUEST_ATTACKS } from '../harness/federation-attacks/requests.ts'
import { describeAttacks } from '../harness/hostile-world.ts'

describeAttacks('federation', [
  ...REQUEST_ATTACKS,
  ...EVENT_ATTACKS,
  ...MEMBER_ATTACKS,
  ...INVITE_ATTACKS,
  ...EDU_ATTACKS,
  ...READING_ATTACKS,
])
