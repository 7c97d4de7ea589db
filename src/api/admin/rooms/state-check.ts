import { z } from 'zod'
import { beginStateCheck, findStateCheck, MAX_PEERS } from '../../../services/membership/check-room-state.ts'
import { opaqueName, serverName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, ofRoom } from '../admin-fields.ts'

/** Recomputes the state of a room and compares; changes nothing unless `repair` is set. */
export const postStateCheck = route({
  method: 'POST',
  path: hearthV1('/rooms/:roomId/check_state'),
  auth: 'admin',
  params: ofRoom,
  body: z.object({ peers: z.array(serverName).max(MAX_PEERS).default([]), repair: z.boolean().default(false) }),
  async handle({ params: { roomId }, body: { peers, repair } }, app) {
    return { task_id: await beginStateCheck(app, { roomId, peers, repairs: repair }) }
  },
})

const getStateCheck = route({
  method: 'GET',
  path: hearthV1('/state_checks/:taskId'),
  auth: 'admin',
  params: z.object({ taskId: opaqueName }),
  handle: ({ params }, app) => findStateCheck(app, params.taskId),
})

export const stateCheckEndpoints: readonly AnyEndpoint[] = [postStateCheck, getStateCheck]
