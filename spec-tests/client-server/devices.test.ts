import { describe, expect, inject, test } from 'vitest'
import { ask, asUser, registerUser, type TestUser } from '../harness/client.ts'

const { url } = inject('homeserver')
const password = 'correct horse battery'

async function anotherDevice(user: TestUser, deviceId: string): Promise<TestUser> {
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: user.userId },
    password,
    device_id: deviceId,
  }
  return asUser(url, (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).body)
}

const authOf = (user: TestUser, session?: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: user.userId },
  password,
  ...(session && { session }),
})

const idsOf = async (user: TestUser) => {
  const { devices } = await user.get('/_matrix/client/v3/devices')
  return devices.map((device: { device_id: string }) => device.device_id).sort()
}

/** https://spec.matrix.org/v1.19/client-server-api/#device-management */
describe('devices', () => {
  test('are listed, with a name that can be changed', async () => {
    const user = await registerUser(url, undefined, { device_id: 'ONE' })
    await anotherDevice(user, 'TWO')
    expect(await idsOf(user)).toEqual(['ONE', 'TWO'])
    await user.put('/_matrix/client/v3/devices/TWO', { display_name: 'Tablet' })
    expect(await user.get('/_matrix/client/v3/devices/TWO')).toMatchObject({ device_id: 'TWO', display_name: 'Tablet' })
    await user.put('/_matrix/client/v3/devices/TWO', {})
    expect((await user.get('/_matrix/client/v3/devices/TWO')).display_name).toBe('Tablet')
  })

  test('of nobody, and of others, are not found', async () => {
    const [user, other] = await Promise.all([registerUser(url), registerUser(url)])
    for (const id of ['NONE', other.deviceId]) {
      expect((await user.ask('GET', `/_matrix/client/v3/devices/${id}`)).body.errcode).toBe('M_NOT_FOUND')
      const renamed = await user.ask('PUT', `/_matrix/client/v3/devices/${id}`, { display_name: 'x' })
      expect(renamed.body.errcode).toBe('M_NOT_FOUND')
    }
  })

  test('with ids of strange characters', async () => {
    const user = await registerUser(url, undefined, { device_id: 'a/b c?d%ü' })
    const path = `/_matrix/client/v3/devices/${encodeURIComponent('a/b c?d%ü')}`
    expect((await user.get(path)).device_id).toBe('a/b c?d%ü')
  })

  test('one is deleted with the password, and its token ends', async () => {
    const user = await registerUser(url)
    const gone = await anotherDevice(user, 'GONE')
    const path = '/_matrix/client/v3/devices/GONE'
    const asked = await user.ask('DELETE', path, {})
    expect(asked.status).toBe(401)
    expect(asked.body.flows).toEqual([{ stages: ['m.login.password'] }])
    expect((await user.ask('DELETE', path, { auth: authOf(user, asked.body.session) })).status).toBe(200)
    expect((await gone.ask('GET', '/_matrix/client/v3/devices')).status).toBe(401)
    expect((await user.ask('GET', path)).status).toBe(404)
  })

  test('a session for one device does not delete another', async () => {
    const user = await registerUser(url)
    await Promise.all([anotherDevice(user, 'X'), anotherDevice(user, 'Y')])
    const { session } = (await user.ask('DELETE', '/_matrix/client/v3/devices/X', {})).body
    const answer = await user.ask('DELETE', '/_matrix/client/v3/devices/Y', { auth: authOf(user, session) })
    expect(answer.status).toBe(403)
    expect(await idsOf(user)).toContain('Y')
  })

  test('several are deleted at once; what the first request said counts when the second does not repeat it', async () => {
    const user = await registerUser(url)
    await Promise.all(['X', 'Y', 'Z'].map((id) => anotherDevice(user, id)))
    const path = '/_matrix/client/v3/delete_devices'
    const { session } = (await user.ask('POST', path, { devices: ['X', 'Y', 'NONE'] })).body
    await user.post(path, { auth: authOf(user, session) })
    expect(await idsOf(user)).toEqual(['Z', user.deviceId].sort())
    await user.post(path, { devices: ['Z'], auth: authOf(user) })
    expect(await idsOf(user)).toEqual([user.deviceId])
    expect((await user.ask('POST', path, {})).body.errcode).toBe('M_MISSING_PARAM')
  })
})

test('when and from where a device was last seen', async () => {
  const user = await registerUser(url)
  const own = () => user.get(`/_matrix/client/v3/devices/${user.deviceId}`)
  await expect.poll(async () => (await own()).last_seen_ts ?? 0).toBeGreaterThan(Date.now() - 600_000)
  expect((await own()).last_seen_ip).toEqual(expect.any(String))
})
