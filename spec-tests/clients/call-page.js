// A web page that makes calls with matrix-js-sdk; its test uses `globalThis.page`.
import { createClient } from 'matrix-js-sdk'
import { CallEventHandlerEvent } from 'matrix-js-sdk/lib/webrtc/callEventHandler.js'

let client
let call
const seen = []

function follow(followed) {
  call = followed
  call.on('state', (state) => seen.push({ state, at: Date.now() }))
  call.on('error', (error) => seen.push({ error: String(error), at: Date.now() }))
}

/** Returns the path and the received media in a connection's statistics. */
async function statistics() {
  const reports = [...(await call.peerConn.getStats()).values()]
  const byId = new Map(reports.map((report) => [report.id, report]))
  const transport = reports.find(({ type }) => type === 'transport')
  const pair = byId.get(transport?.selectedCandidatePairId)
  const inbound = reports.filter(({ type }) => type === 'inbound-rtp')
  const of = (kind) => inbound.find((report) => report.kind === kind)
  return {
    local: byId.get(pair?.localCandidateId)?.candidateType,
    remote: byId.get(pair?.remoteCandidateId)?.candidateType,
    audioBytes: of('audio')?.bytesReceived ?? 0,
    videoBytes: of('video')?.bytesReceived ?? 0,
    framesDecoded: of('video')?.framesDecoded ?? 0,
  }
}

globalThis.page = {
  seen,
  state: () => call?.state,
  statistics,
  /** Logs in, syncs, and requests the TURN servers. */
  async start(options) {
    client = createClient({ ...options, forceTURN: true })
    client.on(CallEventHandlerEvent.Incoming, (incoming) => {
      seen.push({ state: 'incoming', at: Date.now() })
      follow(incoming)
    })
    await client.startClient({ initialSyncLimit: 5 })
    await new Promise((resolve) => client.on('sync', (state) => state === 'PREPARED' && resolve()))
    await client.checkTurnServers()
    return client.getTurnServers()
  },
  async call(roomId) {
    follow(client.createCall(roomId))
    const at = Date.now()
    await call.placeCall(true, true)
    return at
  },
  answer: () => call.answer(true, true),
  hangUp: () => call.hangup('user_hangup', false),
  stop: () => client?.stopClient(),
}
