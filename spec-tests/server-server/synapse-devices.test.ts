import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { deviceKeysOf, logIn, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { type FaultyProxy, startFaultyProxy } from '../harness/faulty-proxy.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { createRoom, v3 } from '../harness/rooms.ts'
import { startSynapse } from '../harness/synapse.ts'
import { joinVia, type SideName, seesMember, WAYS } from '../harness/synapse-pair.ts'

/** Each server is reached through a proxy, which can drop requests. */
const PATIENCE_MS = 120_000
let federation: TestFederation
const proxies = new Map<SideName, FaultyProxy>()
const urls = new Map<SideName, string>()

beforeAll(async () => {
  federation = await startFederation()
  await Promise.all([start('Hearth'), start('Synapse')])
}, PATIENCE_MS)
afterAll(() => federation?.dispose())

async function start(side: SideName): Promise<void> {
  const proxy = await startFaultyProxy(federation, { isBeforeSynapse: side === 'Synapse' })
  const name = `localhost:${proxy.port}`
  const server = await (side === 'Hearth'
    ? federation.hearth({ serverName: name, config: { federation: { tell_device_names: true } } })
    : startSynapse(federation, { server_name: name }))
  proxy.passTo(server.federationPort!)
  proxies.set(side, proxy)
  urls.set(side, server.url)
}

/** https://spec.matrix.org/v1.19/server-server-api/#device-management */
test.each(WAYS)(
  'a new device of a user of %s of which %s never hears is found as soon as it hears of the next change',
  async (here, there) => {
    const name = uniqueName()
    const [owner, viewer] = await Promise.all([registerUser(urls.get(here)!, name), registerUser(urls.get(there)!)])
    const roomId = await createRoom(owner)
    await joinVia(viewer, roomId, owner)
    await seesMember(owner, roomId, { of: viewer, membership: 'join' })
    await uploadKeys(owner)
    for (const known of ['Known', 'Known better']) {
      await rename(owner, known)
      await pollUntil('the list is stored', () => isStored(owner, { viewer, name: known, proxy: proxies.get(here)! }))
    }

    const proxy = proxies.get(there)!
    proxy.setFault('lost')
    const lost = await logIn(owner.url, name, 'Unheard of')
    await uploadKeys(lost)
    // Changes are sent in order, and a new device with keys may be several.
    await rename(owner, 'Lost, too')
    await pollUntil('the changes are lost', () =>
      proxy.lostEdus().some(({ content }) => content.device_display_name === 'Lost, too'),
    )
    proxy.setFault('none')
    expect(await devicesOf(owner, viewer)).toEqual([owner.deviceId])

    // A change that could be applied, but for the missed ones before it.
    await rename(owner, 'Heard of')
    const all = [owner, lost].map(({ deviceId }) => deviceId).sort()
    await pollUntil('all devices are known', async () => `${await devicesOf(owner, viewer)}` === `${all}`)
  },
  PATIENCE_MS,
)

async function uploadKeys(device: TestUser): Promise<void> {
  await device.post(`${v3}/keys/upload`, { device_keys: deviceKeysOf(device) })
}

async function rename(device: TestUser, display_name: string): Promise<void> {
  await device.put(`${v3}/devices/${device.deviceId}`, { display_name })
}

type KnownDevices = Record<string, { unsigned?: { device_display_name?: string } }>

async function queryKeys({ userId }: TestUser, viewer: TestUser): Promise<KnownDevices> {
  const { device_keys } = await viewer.post(`${v3}/keys/query`, { device_keys: { [userId]: [] } })
  return device_keys[userId] ?? {}
}

/** Returns a user's devices with keys, as the viewer's server serves them. */
async function devicesOf(user: TestUser, viewer: TestUser): Promise<string[]> {
  return Object.keys(await queryKeys(user, viewer)).sort()
}

/**
 * Returns whether the viewer's server has stored a device with a name, and is not fetching the list of devices: it would
 * find changes of which it never hears. `proxy`: that before the user's server.
 */
async function isStored(
  user: TestUser,
  { viewer, name, proxy }: { viewer: TestUser; name: string; proxy: FaultyProxy },
): Promise<boolean> {
  proxy.setFault('slow', /\/user\//)
  let devices: KnownDevices | undefined
  const query = queryKeys(user, viewer).then((found) => {
    devices = found
  })
  await pollUntil('the list is there, or asked for', () => devices !== undefined || proxy.waiting() > 0)
  const isFetched = proxy.waiting() > 0
  proxy.setFault('none')
  await query
  return !isFetched && devices?.[user.deviceId]?.unsigned?.device_display_name === name
}
