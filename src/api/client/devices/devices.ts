import { z } from 'zod'
import { MissingParamError } from '../../../core/errors.ts'
import { addDevice, getDevice, listDevices, nameDevice, removeDevices } from '../../../services/devices/devices.ts'
import { v3 } from '../../http/client-paths.ts'
import { deviceId } from '../../http/fields.ts'
import { Reply, route } from '../../http/route.ts'
import { authData } from '../users/auth-data.ts'
import { withPasswordOfPeople } from '../users/password-proof.ts'

const params = z.object({ deviceId })

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices */
export const getDevices = route({
  method: 'GET',
  path: v3('/devices'),
  auth: 'user',
  guests: true,
  handle: async ({ session }, app) => ({ devices: await listDevices(app, session.userId) }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid */
export const getOneDevice = route({
  method: 'GET',
  path: v3('/devices/:deviceId'),
  auth: 'user',
  guests: true,
  params,
  handle: ({ params, session }, app) => getDevice(app, { userId: session.userId, ...params }),
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid; only application services may
 * create devices.
 */
export const putDevice = route({
  method: 'PUT',
  path: v3('/devices/:deviceId'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  params,
  body: z.object({ display_name: z.string().max(255).nullish() }),
  async handle({ params, session, body }, app) {
    const key = { userId: session.userId, ...params }
    const isNew =
      session.appservice !== null && (await addDevice(app, { ...key, displayName: body.display_name ?? null }))
    if (isNew) return new Reply(201, {})
    if (body.display_name === undefined) await getDevice(app, key)
    else await nameDevice(app, { ...key, displayName: body.display_name })
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3devicesdeviceid */
export const deleteDevice = route({
  method: 'DELETE',
  path: v3('/devices/:deviceId'),
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  params,
  body: z.object({ auth: authData.optional() }),
  async handle({ params, session, body }, app) {
    return withPasswordOfPeople(app, session, {
      operation: `DELETE /devices/${params.deviceId}`,
      auth: body.auth,
      async perform() {
        await removeDevices(app, session.userId, [params.deviceId])
        return {}
      },
    })
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices */
export const postDeleteDevices = route({
  method: 'POST',
  path: v3('/delete_devices'),
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  body: z.object({ auth: authData.optional(), devices: z.array(deviceId).optional() }),
  async handle({ session, body: { auth, devices } }, app) {
    return withPasswordOfPeople(app, session, {
      operation: 'POST /delete_devices',
      auth,
      body: { devices },
      check(wanted) {
        if (!wanted.devices) throw new MissingParamError('devices: is missing')
      },
      async perform(wanted) {
        await removeDevices(app, session.userId, wanted.devices!)
        return {}
      },
    })
  },
})
