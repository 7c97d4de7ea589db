// A web page that signs in with matrix-js-sdk's OAuth functions, as Element Web does; its tests use `globalThis.page`.
import { ClientEvent, createClient, MemoryStore, OAuth2, SyncState } from 'matrix-js-sdk'

const STATE =
  new URLSearchParams(location.search).get('state') ?? new URLSearchParams(location.hash.slice(1)).get('state')

/** What the page remembers while the user is at the server's pages, by `state`. */
const remember = (state, value) => localStorage.setItem(state, JSON.stringify(value))
const remembered = (state) => JSON.parse(localStorage.getItem(state) ?? 'null')

let context
let oauth
let tokens
let client
let flow
let secretStorageKey

/** Returns the parameters with which the server sent the user back. */
function answer() {
  const fragment = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
  return { query: Object.fromEntries(new URLSearchParams(location.search)), fragment, url: location.href }
}

async function discover(baseUrl) {
  const probe = createClient({ baseUrl })
  return probe.getAuthMetadata()
}

/** Registers this page as a client, and returns the metadata and the client's id. */
async function register(baseUrl, more = {}) {
  const metadata = await discover(baseUrl)
  const clientId = await OAuth2.registerClient(metadata, {
    client_name: 'Page of the tests',
    client_uri: `${location.origin}/`,
    redirect_uris: [`${location.origin}/`],
    application_type: 'web',
    ...more,
  })
  context = { baseUrl, metadata, clientId }
  oauth = new OAuth2(metadata, { clientId })
  return { metadata, clientId }
}

/** Leaves for the server's pages. */
async function signIn({ baseUrl, responseMode, prompt, deviceId }) {
  const { metadata, clientId } = await register(baseUrl)
  oauth = new OAuth2(metadata, { clientId, deviceId })
  const state = crypto.randomUUID()
  const redirectUri = `${location.origin}/`
  const url = await oauth.generateAuthorizationCodeGrantUrl(state, redirectUri, responseMode, prompt)
  remember(state, { baseUrl, metadata, context: oauth.context, redirectUri })
  // After the caller has its answer.
  setTimeout(() => location.assign(url))
}

/** Exchanges the code with which the server sent the user back. */
async function finishSignIn(responseMode) {
  const given = responseMode === 'query' ? answer().query : answer().fragment
  const before = remembered(given.state)
  oauth = new OAuth2(before.metadata, before.context)
  context = { ...before, clientId: before.context.clientId }
  tokens = await oauth.completeAuthorizationCodeGrant(given.code, before.redirectUri)
  return { ...tokens, deviceId: before.context.deviceId, clientId: before.context.clientId }
}

/** Runs a client with the tokens, which refreshes them itself. Returns the user's and the device's id. */
async function start({ crypto: withCrypto } = {}) {
  const { user_id: userId, device_id: deviceId } = await createClient({
    baseUrl: context.baseUrl,
    accessToken: tokens.access_token,
  }).whoami()
  client = createClient({
    baseUrl: context.baseUrl,
    userId,
    deviceId,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    oauthClientId: context.clientId,
    onTokenRefresh: (refreshed) => {
      tokens = { ...tokens, access_token: refreshed.accessToken, refresh_token: refreshed.refreshToken }
    },
    store: new MemoryStore(),
    cryptoCallbacks: {
      getSecretStorageKey: async ({ keys }) => secretStorageKey && [Object.keys(keys)[0], secretStorageKey],
      cacheSecretStorageKey: (_id, _info, key) => {
        secretStorageKey = key
      },
    },
  })
  if (withCrypto) await client.initRustCrypto({ useIndexedDB: false })
  client.on(ClientEvent.Event, (event) => void client.decryptEventIfNeeded(event))
  const synced = new Promise((resolve) => client.on(ClientEvent.Sync, (to) => to === SyncState.Prepared && resolve()))
  await client.startClient({ initialSyncLimit: 20 })
  await synced
  return { userId, deviceId }
}

/** Sets up cross-signing, secret storage and key backup; `reset`: replaces the keys that exist. */
async function setUpCrossSigning({ reset } = {}) {
  const cryptoApi = client.getCrypto()
  const key = await cryptoApi.createRecoveryKeyFromPassphrase()
  await cryptoApi.bootstrapCrossSigning({
    setupNewCrossSigning: reset,
    authUploadDeviceSigningKeys: async (upload) => {
      await upload(null)
    },
  })
  await cryptoApi.bootstrapSecretStorage({
    createSecretStorageKey: async () => key,
    setupNewKeyBackup: true,
    setupNewSecretStorage: true,
  })
  return cryptoApi.isCrossSigningReady()
}

/** What the server answered to the reset of cross-signing, and the session with which the client repeats it. */
let refused
/** Tries to replace the cross-signing keys; returns the stages that the server demands, or null. */
async function tryReset() {
  refused = undefined
  try {
    await client.getCrypto().bootstrapCrossSigning({
      setupNewCrossSigning: true,
      authUploadDeviceSigningKeys: async (upload) => {
        await upload(null)
      },
    })
    return null
  } catch (error) {
    if (error.httpStatus !== 401) throw error
    refused = error.data
    return refused
  }
}
/** Repeats the reset with the session alone, as Element Web does once the user says that the page is done. */
async function finishReset() {
  await client.getCrypto().bootstrapCrossSigning({
    setupNewCrossSigning: true,
    authUploadDeviceSigningKeys: async (upload) => {
      await upload({ session: refused.session })
    },
  })
  return client.getCrypto().isCrossSigningReady()
}

async function say(text) {
  const { room_id: roomId } = await client.createRoom({
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  })
  while (!client.getRoom(roomId)?.hasEncryptionStateEvent()) await new Promise((resolve) => setTimeout(resolve, 50))
  const { event_id: eventId } = await client.sendTextMessage(roomId, text)
  return { roomId, eventId }
}

/** Returns the decrypted text of an event; undefined: not yet. */
function read({ roomId, eventId }) {
  const event = client.getRoom(roomId)?.findEventById(eventId)
  if (event?.getType() !== 'm.room.message' || event.isDecryptionFailure()) return undefined
  return event.getContent().body
}

/** Begins the device grant as a device without a browser. */
async function askForDevice(scope) {
  const session = await oauth.startDeviceAuthorizationGrant(scope)
  return { session, deviceId: oauth.context.deviceId }
}
/** Polls until the user has decided; returns the tokens or the error. */
async function waitForDevice(session) {
  const result = await oauth.waitForDeviceAuthorizationGrant(session)
  if (!result.error) tokens = result
  return result
}

const failures = []
const onFailure = (reason) => failures.push(reason)
const bytes = (code) => btoa(String.fromCharCode(...code))

/** The signed-in device shows a QR code; returns its content in base64. */
async function showCode() {
  const { linkNewDeviceByGeneratingQR } = await import('matrix-js-sdk/lib/rendezvous/index.js')
  flow = await linkNewDeviceByGeneratingQR(client, onFailure, new AbortController().signal)
  return bytes(flow.code)
}

/** The new device has scanned the code of a device that is signed in. */
async function scanCode(code) {
  // A dependency of matrix-js-sdk: another copy would not know its objects.
  const { QrCodeData, initAsync } = await import('@matrix-org/matrix-sdk-crypto-wasm')
  await initAsync()
  const { MSC4108RendezvousSession, MSC4108SecureChannel, MSC4108SignInWithQR } = await import(
    'matrix-js-sdk/lib/rendezvous/index.js'
  )
  const data = QrCodeData.fromBytes(Uint8Array.from(atob(code), (character) => character.charCodeAt(0)))
  const session = new MSC4108RendezvousSession({ onFailure, url: data.rendezvousUrl })
  const channel = new MSC4108SecureChannel(session, data.publicKey, onFailure)
  flow = new MSC4108SignInWithQR(channel, true, undefined, onFailure)
  return data.serverName
}

/** The new device asks for its tokens; returns the code and page that the user sees. */
async function askByCode(deviceId) {
  context.deviceId = deviceId
  return flow.deviceAuthorizationGrant({ ...context, deviceId })
}
async function finishByCode() {
  const result = await flow.completeLoginOnNewDevice(context)
  tokens = result
  return result
}
/** The new device takes the secrets of the other, and verifies itself with them. */
async function takeSecrets() {
  const { secrets } = await flow.shareSecrets()
  const cryptoApi = client.getCrypto()
  await cryptoApi.importSecretsBundle(secrets)
  await cryptoApi.crossSignDevice(client.getDeviceId())
  await cryptoApi.checkKeyBackupAndEnable()
  await flow.close()
  return (await cryptoApi.restoreKeyBackup()).imported
}

globalThis.page = {
  state: () => STATE,
  answer,
  failures: () => failures,
  tokens: () => tokens,
  discover,
  register,
  signIn,
  finishSignIn,
  start,
  setUpCrossSigning,
  tryReset,
  finishReset,
  say,
  read,
  askForDevice,
  waitForDevice,
  showCode,
  scanCode,
  negotiate: () => flow.negotiateProtocols(),
  checkCode: () => flow.checkCode,
  receiveGrant: () => flow.deviceAuthorizationGrant(),
  askByCode,
  finishByCode,
  shareSecrets: async () => Boolean((await flow.shareSecrets()).secrets),
  takeSecrets,
  refresh: async () => {
    tokens = await oauth.performRefreshTokenGrant(tokens.refresh_token)
    return tokens
  },
  /** Sends a request through the client, which refreshes an expired token. */
  whoami: () => client.whoami(),
  isVerified: async (deviceId) => {
    const status = await client.getCrypto().getDeviceVerificationStatus(client.getUserId(), deviceId)
    return status?.signedByOwner ?? false
  },
  revoke: () => oauth.revokeToken(tokens.refresh_token, 'refresh_token'),
  signOut: () => client.logout(true),
  stop: () => client?.stopClient(),
}
