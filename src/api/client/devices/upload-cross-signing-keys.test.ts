import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signableJson } from '../../../core/signing/sign-json.ts'
import { fixedClock } from '../../../infra/clock.ts'
import { allowCrossSigningReset } from '../../../services/devices/cross-signing-reset.ts'
import { confirmBySignIn } from '../../../services/users/uia-fallback.ts'
import { updatePasswordHash } from '../../../storage/users/users.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'
import { userEndpoints } from '../user-endpoints.ts'

type Signable = { signatures?: Record<string, Record<string, string>> }
type Signer = { userId: string; keyId: string; publicKey: string; privateKey: KeyObject }

const PASSWORD = 'correct horse'
let api: Awaited<ReturnType<typeof startClientApi>>
let passwordHash: string
const clock = fixedClock(1_600_000_000_000)
beforeAll(async () => {
  api = await startClientApi({ clock, endpoints: [...userEndpoints, ...encryptionEndpoints] })
  passwordHash = await api.app.passwordHasher.hash(PASSWORD)
})
afterAll(() => api.close())

function createSigner(userId: string, name?: string): Signer {
  const { privateKey, publicKey: key } = generateKeyPairSync('ed25519')
  const publicKey = Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url')
    .toString('base64')
    .replaceAll('=', '')
  return { userId, keyId: `ed25519:${name ?? publicKey}`, publicKey, privateKey }
}

function signed<T extends Signable>(object: T, { userId, keyId, privateKey }: Signer): T {
  const signature = sign(null, Buffer.from(signableJson(object)), privateKey)
    .toString('base64')
    .replaceAll('=', '')
  const { signatures } = object
  return { ...object, signatures: { ...signatures, [userId]: { ...signatures?.[userId], [keyId]: signature } } }
}

let made = 0
/** Creates a user with a device whose keys are uploaded, and with cross-signing keys that are not. */
async function createPerson() {
  const client = await api.client(`person${++made}`, { deviceId: 'PHONE' })
  const { userId } = client
  await api.app.database.write((tx) => updatePasswordHash(tx, userId, passwordHash))
  const device = createSigner(userId, 'PHONE')
  const keys = { [device.keyId]: device.publicKey, 'curve25519:PHONE': 'c' }
  const unsignedDevice = { user_id: userId, device_id: 'PHONE', algorithms: ['a'], keys }
  const deviceKeys = signed(unsignedDevice as typeof unsignedDevice & Signable, device)
  await client.ok('POST', '/keys/upload', { device_keys: deviceKeys })
  return { client, userId, device, deviceKeys, ...createIdentity(userId) }
}

function createIdentity(userId: string) {
  const [master, selfSigning, userSigning] = [createSigner(userId), createSigner(userId), createSigner(userId)]
  const keyOf = (signer: Signer, usage: string): Signable & { user_id: string } =>
    ({ user_id: userId, usage: [usage], keys: { [signer.keyId]: signer.publicKey } }) as never
  const identity = {
    master_key: keyOf(master, 'master'),
    self_signing_key: signed(keyOf(selfSigning, 'self_signing'), master),
    user_signing_key: signed(keyOf(userSigning, 'user_signing'), master),
  }
  return { master, selfSigning, userSigning, identity }
}

type Person = Awaited<ReturnType<typeof createPerson>>

function upload({ client }: { client: TestClient }, body: object) {
  return client.ask('POST', '/keys/device_signing/upload', body)
}

async function seen(viewer: Person, of: Person) {
  return viewer.client.ok('POST', '/keys/query', { device_keys: { [of.userId]: [] } })
}

describe('cross-signing keys', () => {
  test('the first upload needs no password; everybody sees all but the user-signing key', async () => {
    const [alice, bob] = [await createPerson(), await createPerson()]
    expect(await upload(alice, alice.identity)).toEqual({ status: 200, body: {} })
    const { identity, userId } = alice
    expect(await seen(alice, alice)).toMatchObject({
      master_keys: { [userId]: identity.master_key },
      self_signing_keys: { [userId]: identity.self_signing_key },
      user_signing_keys: { [userId]: identity.user_signing_key },
    })
    const bobs = await seen(bob, alice)
    expect(bobs.master_keys).toEqual({ [userId]: identity.master_key })
    expect(bobs.self_signing_keys).toEqual({ [userId]: identity.self_signing_key })
    expect(bobs.user_signing_keys).toEqual({})
    // As matrix-rust-sdk does.
    expect((await upload(bob, { ...bob.identity, auth: { type: 'm.login.dummy', session: null } })).status).toBe(200)
  })

  test('the same keys again need no password, others do', async () => {
    const alice = await createPerson()
    await upload(alice, alice.identity)
    expect((await upload(alice, alice.identity)).status).toBe(200)
    const { identity } = createIdentity(alice.userId)
    const refused = await upload(alice, identity)
    expect(refused.status).toBe(401)
    expect(refused.body.flows).toEqual([{ stages: ['m.login.password'] }])
    expect((await seen(alice, alice)).master_keys[alice.userId]).toEqual(alice.identity.master_key)
    const auth = { type: 'm.login.password', session: refused.body.session, password: PASSWORD }
    const identifier = { type: 'm.id.user', user: alice.userId }
    expect(await upload(alice, { ...identity, auth: { ...auth, identifier } })).toEqual({ status: 200, body: {} })
    expect((await seen(alice, alice)).master_keys[alice.userId]).toEqual(identity.master_key)
  })

  test('a request with nothing but the proof completes the first request', async () => {
    const alice = await createPerson()
    await upload(alice, alice.identity)
    const { identity } = createIdentity(alice.userId)
    const { session } = (await upload(alice, identity)).body
    const identifier = { type: 'm.id.user', user: alice.userId }
    const auth = { type: 'm.login.password', session, password: PASSWORD, identifier }
    expect((await upload(alice, { auth })).status).toBe(200)
    expect((await seen(alice, alice)).master_keys[alice.userId]).toEqual(identity.master_key)
  })

  test('of two first uploads at the same time one is asked for the password', async () => {
    const alice = await createPerson()
    const identities = [alice.identity, createIdentity(alice.userId).identity]
    const answers = await Promise.all(identities.map((identity) => upload(alice, identity)))
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401])
  })

  test('a key that the master key has not signed is refused, and nothing is stored', async () => {
    const alice = await createPerson()
    const stranger = createIdentity(alice.userId)
    const answer = await upload(alice, { ...alice.identity, self_signing_key: stranger.identity.self_signing_key })
    expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_SIGNATURE'])
    expect((await seen(alice, alice)).master_keys).toEqual({})
  })

  test('a key without a master key, of somebody else, or named like a device is refused', async () => {
    const [alice, bob] = [await createPerson(), await createPerson()]
    const { self_signing_key } = alice.identity
    const fault = async (body: object) => {
      const answer = await upload(alice, body)
      return [answer.status, answer.body.errcode]
    }
    expect(await fault({ self_signing_key })).toEqual([400, 'M_MISSING_PARAM'])
    expect(await fault(bob.identity)).toEqual([400, 'M_INVALID_PARAM'])
    expect(await fault({ master_key: self_signing_key })).toEqual([400, 'M_INVALID_PARAM'])
    const master_key = { user_id: alice.userId, usage: ['master'], keys: { 'ed25519:PHONE': 'PHONE' } }
    expect(await fault({ master_key })).toEqual([403, 'M_FORBIDDEN'])
    expect(await fault({ master_key: { ...master_key, keys: { 'ed25519:a': 'b' } } })).toEqual([400, 'M_BAD_JSON'])
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication */
describe('a user without a password', () => {
  async function createPasswordless() {
    const alice = await createPerson()
    await api.app.database.write((tx) => updatePasswordHash(tx, alice.userId, null))
    await upload(alice, alice.identity)
    return alice
  }

  const masterOf = async (person: Person) => (await seen(person, person)).master_keys[person.userId]

  test('permits a reset on the account page, once', async () => {
    const alice = await createPasswordless()
    const { identity } = createIdentity(alice.userId)
    const { status, body } = await upload(alice, identity)
    const url = `${api.app.config.public_base_url}/account?action=org.matrix.cross_signing_reset`
    expect([status, body]).toEqual([
      401,
      {
        flows: [['m.oauth'], ['org.matrix.cross_signing_reset'], ['m.login.sso']].map((stages) => ({ stages })),
        params: { 'm.oauth': { url }, 'org.matrix.cross_signing_reset': { url } },
        session: expect.any(String),
        completed: [],
      },
    ])
    const { session } = body
    for (const auth of [{ session }, { session, type: 'm.oauth' }]) {
      const early = await upload(alice, { ...identity, auth })
      expect([early.status, early.body.errcode, early.body.session]).toEqual([401, undefined, session])
      expect((await upload(alice, { auth })).status).toBe(401)
    }
    await allowCrossSigningReset(api.app, alice.userId)
    expect(await upload(alice, { ...identity, auth: { session } })).toEqual({ status: 200, body: {} })
    expect(await masterOf(alice)).toEqual(identity.master_key)
    expect((await upload(alice, { ...identity, auth: { session } })).status).toBe(200)
    expect((await upload(alice, createIdentity(alice.userId).identity)).status).toBe(401)
  })

  test.each(['m.oauth', 'org.matrix.cross_signing_reset', undefined])(
    'gets the first request done by nothing but the session, with the stage %s',
    async (type) => {
      const alice = await createPasswordless()
      const { identity } = createIdentity(alice.userId)
      const { session } = (await upload(alice, identity)).body
      await allowCrossSigningReset(api.app, alice.userId)
      expect((await upload(alice, { auth: { session, type } })).status).toBe(200)
      expect(await masterOf(alice)).toEqual(identity.master_key)
    },
  )

  test('may sign in for it by m.login.sso instead', async () => {
    const alice = await createPasswordless()
    const { identity } = createIdentity(alice.userId)
    const { session } = (await upload(alice, identity)).body
    await confirmBySignIn(api.app, { sessionId: session, userId: alice.userId })
    expect((await upload(alice, { ...identity, auth: { session } })).status).toBe(200)
    expect(await masterOf(alice)).toEqual(identity.master_key)
  })

  test('has ten minutes; a stage that was completed before is not enough', async () => {
    const alice = await createPasswordless()
    const { identity } = createIdentity(alice.userId)
    const unsigned = { ...identity, self_signing_key: createIdentity(alice.userId).identity.self_signing_key }
    const { session } = (await upload(alice, unsigned)).body
    await allowCrossSigningReset(api.app, alice.userId)
    expect((await upload(alice, { auth: { session } })).body.errcode).toBe('M_INVALID_SIGNATURE')
    clock.advance(10 * 60_000)
    expect((await upload(alice, { ...identity, auth: { session } })).status).toBe(403)
    expect((await upload(alice, identity)).status).toBe(401)
    expect(await masterOf(alice)).toEqual(alice.identity.master_key)
    await allowCrossSigningReset(api.app, alice.userId)
    clock.advance(10 * 60_000 - 1)
    expect((await upload(alice, identity)).status).toBe(200)
  })

  test('permits it for the own keys only', async () => {
    const [alice, bob] = [await createPasswordless(), await createPasswordless()]
    const { session } = (await upload(alice, createIdentity(alice.userId).identity)).body
    await allowCrossSigningReset(api.app, bob.userId)
    expect((await upload(alice, { auth: { session } })).status).toBe(401)
  })
})

describe('signatures', () => {
  const put = (person: Person, body: object) => person.client.ok('POST', '/keys/signatures/upload', body)

  test("on one's own device and master key everybody sees them", async () => {
    const [alice, bob] = [await createPerson(), await createPerson()]
    await upload(alice, alice.identity)
    const device = signed(alice.deviceKeys, alice.selfSigning)
    const master = signed(alice.identity.master_key, alice.device)
    const answer = await put(alice, { [alice.userId]: { PHONE: device, [alice.master.publicKey]: master } })
    expect(answer).toEqual({ failures: {} })
    const keys = await seen(bob, alice)
    expect(keys.device_keys[alice.userId].PHONE.signatures).toEqual(device.signatures)
    expect(keys.master_keys[alice.userId].signatures).toEqual(master.signatures)
  })

  test("on somebody else's master key only their author sees them", async () => {
    const [alice, bob, carol] = [await createPerson(), await createPerson(), await createPerson()]
    await upload(alice, alice.identity)
    await upload(bob, bob.identity)
    const master = signed(bob.identity.master_key, alice.userSigning)
    expect(await put(alice, { [bob.userId]: { [bob.master.publicKey]: master } })).toEqual({ failures: {} })
    expect((await seen(alice, bob)).master_keys[bob.userId].signatures).toEqual(master.signatures)
    expect((await seen(bob, bob)).master_keys[bob.userId].signatures).toBeUndefined()
    expect((await seen(carol, bob)).master_keys[bob.userId].signatures).toBeUndefined()
  })

  test('each wrong key gets an error of its own, and valid keys are stored', async () => {
    const [alice, bob] = [await createPerson(), await createPerson()]
    await upload(alice, alice.identity)
    await upload(bob, bob.identity)
    const good = signed(alice.deviceKeys, alice.selfSigning)
    const forged = { ...bob.identity.master_key, signatures: { [alice.userId]: { [alice.userSigning.keyId]: 'AAAA' } } }
    const { failures } = await put(alice, {
      [alice.userId]: {
        PHONE: good,
        LAPTOP: good,
        [alice.master.publicKey]: signed({ ...alice.identity.master_key, more: 1 } as Signable, alice.device),
      },
      [bob.userId]: { [bob.master.publicKey]: forged, PHONE: signed(bob.deviceKeys, alice.userSigning) },
    })
    const codes = (of: Record<string, { errcode: string }>) =>
      Object.fromEntries(Object.entries(of).map(([keyId, { errcode }]) => [keyId, errcode]))
    expect(codes(failures[alice.userId])).toEqual({
      LAPTOP: 'M_NOT_FOUND',
      [alice.master.publicKey]: 'M_INVALID_PARAM',
    })
    expect(codes(failures[bob.userId])).toEqual({
      [bob.master.publicKey]: 'M_INVALID_SIGNATURE',
      PHONE: 'M_NOT_FOUND',
    })
    expect((await seen(bob, alice)).device_keys[alice.userId].PHONE.signatures).toEqual(good.signatures)
  })

  test('they go when the key that made them is replaced, or the device that has them gets other keys', async () => {
    const alice = await createPerson()
    await upload(alice, alice.identity)
    const sign = () => put(alice, { [alice.userId]: { PHONE: signed(alice.deviceKeys, alice.selfSigning) } })
    const signaturesOf = async () => (await seen(alice, alice)).device_keys[alice.userId].PHONE.signatures[alice.userId]
    await sign()
    expect(Object.keys(await signaturesOf())).toHaveLength(2)
    await alice.client.ok('POST', '/keys/upload', { device_keys: { ...alice.deviceKeys, algorithms: ['b'] } })
    expect(Object.keys(await signaturesOf())).toHaveLength(1)
    await alice.client.ok('POST', '/keys/upload', { device_keys: alice.deviceKeys })
    await sign()
    const { session } = (await upload(alice, createIdentity(alice.userId).identity)).body
    const identifier = { type: 'm.id.user', user: alice.userId }
    await upload(alice, { auth: { type: 'm.login.password', session, password: PASSWORD, identifier } })
    expect(Object.keys(await signaturesOf())).toEqual(['ed25519:PHONE'])
  })
})
