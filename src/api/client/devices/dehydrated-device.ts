import { z } from 'zod'
import {
  deleteDehydratedDevice,
  getDehydratedDevice,
  readDehydratedEvents,
  replaceDehydratedDevice,
} from '../../../services/devices/dehydrated-device.ts'
import { deviceId, jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { storableObject } from './encryption-fields.ts'

const PATH = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'

const params = z.object({ deviceId })
const keys = z.record(z.string(), z.union([z.string(), jsonObject]))

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3814 */
export const putDehydratedDevice = route({
  method: 'PUT',
  path: PATH,
  auth: 'user',
  suspendedUsers: true,
  body: z.object({
    device_id: deviceId,
    device_data: storableObject,
    initial_device_display_name: z.string().max(255).nullish(),
    device_keys: jsonObject,
    one_time_keys: keys.optional(),
    fallback_keys: keys.optional(),
  }),
  async handle({ session, body: { device_id: deviceId, ...device } }, app) {
    const key = { userId: session.userId, deviceId }
    const displayName = device.initial_device_display_name ?? null
    await replaceDehydratedDevice(app, key, { displayName, deviceData: device.device_data, keys: device })
    return { device_id: deviceId }
  },
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3814 */
export const getOwnDehydratedDevice = route({
  method: 'GET',
  path: PATH,
  auth: 'user',
  handle: ({ session }, app) => getDehydratedDevice(app, session.userId),
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3814 */
export const deleteOwnDehydratedDevice = route({
  method: 'DELETE',
  path: PATH,
  auth: 'user',
  suspendedUsers: true,
  handle: async ({ session }, app) => ({ device_id: await deleteDehydratedDevice(app, session.userId) }),
})

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3814: the newer form, which omits `next_batch` on the last
 * page.
 */
export const getDehydratedDeviceEvents = route({
  method: 'GET',
  path: `${PATH}/:deviceId/events`,
  auth: 'user',
  params,
  query: z.object({ from: z.string().optional(), next_batch: z.string().optional() }),
  async handle({ session, params, query }, app) {
    const key = { userId: session.userId, ...params }
    const { events, next_batch, hasMore } = await readDehydratedEvents(app, key, query.from ?? query.next_batch)
    return { events, ...(hasMore && { next_batch }) }
  },
})

/**
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3814: the older form, whose clients continue until a page is
 * empty.
 */
export const postDehydratedDeviceEvents = route({
  method: 'POST',
  path: `${PATH}/:deviceId/events`,
  auth: 'user',
  suspendedUsers: true,
  params,
  body: z.object({ next_batch: z.string().nullish() }),
  async handle({ session, params, body }, app) {
    const key = { userId: session.userId, ...params }
    const { events, next_batch } = await readDehydratedEvents(app, key, body.next_batch ?? undefined)
    return { events, next_batch }
  },
})
