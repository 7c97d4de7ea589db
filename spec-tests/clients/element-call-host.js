// A web page that hosts Element Call as a widget, as Element Web does; its test uses `globalThis.page`.
import { ClientEvent, createClient, MatrixEventEvent, MemoryStore, RoomStateEvent, SyncState } from 'matrix-js-sdk'
import { ClientWidgetApi, Widget } from 'matrix-widget-api'
import { CallDriver } from './element-call-driver.js'

const WIDGET_ID = 'call'
/** Of Element Call, besides the widget API. */
const ACTIONS = [
  'io.element.join',
  'im.vector.hangup',
  'io.element.close',
  'io.element.device_mute',
  'set_always_on_screen',
]

let client
let api
const actions = []

/** Logs in with encryption, and syncs. */
async function start(options) {
  client = createClient({ ...options, store: new MemoryStore() })
  await client.initRustCrypto({ useIndexedDB: false })
  const synced = new Promise((resolve) => client.on(ClientEvent.Sync, (to) => to === SyncState.Prepared && resolve()))
  await client.startClient({ initialSyncLimit: 20 })
  await synced
}

/** Opens Element Call in a room; it joins the call at once. `elementCall`: the path of its folder. */
function join({ roomId, elementCall }) {
  const url = new URL(`${elementCall}index.html`, location.href)
  url.hash = `?${new URLSearchParams({
    widgetId: WIDGET_ID,
    parentUrl: location.href,
    roomId,
    userId: client.getUserId(),
    deviceId: client.getDeviceId(),
    baseUrl: client.baseUrl,
    intent: 'join_existing',
    skipLobby: 'true',
    perParticipantE2EE: 'true',
    lang: 'en',
  })}`
  const iframe = document.createElement('iframe')
  iframe.allow = 'camera; microphone; autoplay'
  iframe.src = url.href
  document.body.append(iframe)
  const widget = new Widget({
    id: WIDGET_ID,
    creatorUserId: client.getUserId(),
    type: 'm.call',
    url: url.href,
    waitForIframeLoad: false,
  })
  const driver = new CallDriver(client, roomId)
  api = new ClientWidgetApi(widget, iframe, driver)
  api.setViewedRoomId(roomId)
  for (const action of ACTIONS) {
    api.on(`action:${action}`, (event) => {
      event.preventDefault()
      actions.push(action)
      api.transport.reply(event.detail, {})
    })
  }
  feed(roomId)
}

/** Passes on what the client receives. Encrypted events follow when they are decrypted. */
function feed(roomId) {
  const feedEvent = (event) => event.getRoomId() === roomId && api.feedEvent(event.getEffectiveEvent())
  client.on(ClientEvent.Event, (event) => !event.isEncrypted() && feedEvent(event))
  client.on(MatrixEventEvent.Decrypted, (event) => !event.isDecryptionFailure() && feedEvent(event))
  client.on(RoomStateEvent.Events, (event) => api.feedStateUpdate(event.getEffectiveEvent()))
  client.on(ClientEvent.ReceivedToDeviceMessage, ({ message, encryptionInfo }) =>
    api.feedToDevice(message, encryptionInfo !== null),
  )
}

/** Returns the users in the call, as the client's own MatrixRTC session has them. */
const members = (roomId) =>
  client.matrixRTC.getRoomSession(client.getRoom(roomId)).memberships.map(({ userId }) => userId)

globalThis.page = { start, join, members, actions: () => actions }
